"""The digest that names the decoded arrays of an image set."""

import hashlib

import numpy as np

from wsnet.data.images import DataError, DecodedSet, ImageSet

__all__ = ["checked_set"]


def checked_set(
    train: ImageSet,
    test: ImageSet,
    classes: tuple[str, ...],
    *,
    sizes: tuple[int, int],
    shape: tuple[int, int, int],
    source: str,
) -> DecodedSet:
    """Check decoded arrays against what is known of their set, and digest them.

    Args:
        train: the training images.
        test: the test images.
        classes: the name of every class.
        sizes: the expected number of training and of test images.
        shape: the expected (channels, height, width).
        source: what was decoded, for messages.

    Raises:
        DataError: if sizes, shapes or labels are not the expected ones.
    """
    channels, height, width = shape
    digest = hashlib.sha256()
    for part, images, size in (("training", train, sizes[0]), ("test", test, sizes[1])):
        expected = (size, height, width, channels)
        if images.images.shape != expected or images.labels.shape != (size,):
            raise DataError(
                f"{source}: the {part} images must have the shape {expected}, but got {images.images.shape} "
                f"with {len(images.labels)} labels"
            )
        wrong = np.flatnonzero((images.labels < 0) | (images.labels >= len(classes)))
        if len(wrong):
            raise DataError(
                f"{source}: {part} image {wrong[0]}: a label must be 0 to {len(classes) - 1}, "
                f"but got {images.labels[wrong[0]]}"
            )
        digest.update(repr(expected).encode())
        digest.update(images.images.reshape(-1).data)
        digest.update(images.labels.astype("<i8", copy=False).data)
    return DecodedSet(train, test, classes, digest.hexdigest())
