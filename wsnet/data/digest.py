"""The digest that names the decoded arrays of an image set."""

import hashlib
import math

import numpy as np

from wsnet.data.images import DataError, DecodedSet, ImageSet, Pixels, Statistics

__all__ = ["channel_statistics", "checked_set"]


def checked_set(
    train: ImageSet,
    test: ImageSet,
    classes: tuple[str, ...],
    *,
    sizes: tuple[int, int],
    shape: tuple[int, int, int],
    source: str,
    measured: bool = False,
) -> DecodedSet:
    """Check decoded arrays against what is known of their set, and digest them.

    Args:
        train: the training images.
        test: the test images.
        classes: the name of every class.
        sizes: the expected number of training and of test images.
        shape: the expected (channels, height, width).
        source: what was decoded, for messages.
        measured: whether to measure the mean and standard deviation of the training pixels.

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
    statistics = channel_statistics(train.images) if measured else None
    return DecodedSet(train, test, classes, digest.hexdigest(), statistics)


def channel_statistics(pixels: Pixels) -> Statistics:
    """Mean and standard deviation of each channel as shares of 255, to 4 digits as the published ones are.

    Counted, not summed in floats: the same on every machine. Where a channel is constant, 1 stands for its deviation.
    """
    means, deviations = [], []
    values = np.arange(256)
    for channel in range(pixels.shape[-1]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(pixels), 1000):
            counts += np.bincount(pixels[start : start + 1000, ..., channel].ravel(), minlength=256)
        number = int(counts.sum())
        mean = int((counts * values).sum()) / number
        square = int((counts * values**2).sum()) / number
        means.append(round(mean / 255, 4))
        deviations.append(round(math.sqrt(max(square - mean**2, 0.0)) / 255, 4) or 1.0)
    return tuple(means), tuple(deviations)
