"""What a loaded image set is: arrays of pixels and labels, parted into splits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsnet.config.sets import DataError

if TYPE_CHECKING:
    from wsnet.data.files import ImageFiles

__all__ = ["DataError", "DecodedSet", "ImageSet", "ImageSplits", "Labels", "Pixels", "Statistics"]

# Shape legend of wsnet.data: N images in a set, B in a batch, H rows, W columns, C channels.
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation per channel, as shares of 255."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one split.

    Attributes:
        images: uint8 (N, H, W, C); read-only where they are mapped from the cache.
        labels: int64 (N,), from 0.
    """

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: NDArray[np.int64]) -> "ImageSet":
        """A copy of the images at `indices`, in that order."""
        return ImageSet(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class DecodedSet:
    """A whole image set as its source has it: the official training and test images, in the source's order.

    Attributes:
        train: the official training images.
        test: the official test images.
        classes: the name of every class, by label.
        sha256: digest of all pixels and labels, in their order.
        statistics: of the training pixels, where they were measured.
    """

    train: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    sha256: str
    statistics: Statistics | None = None


@dataclass(frozen=True, eq=False)
class ImageSplits:
    """The splits that a trial uses.

    Attributes:
        train: images to train on.
        validation: images carved out of the official training set, or None.
        test: images for the report.
        classes: the name of every class, by label.
        mean: per-channel mean, as a share of 255.
        std: per-channel standard deviation, as a share of 255.
        hash: SHA-256 over the decoded arrays (of a streamed set: over its files' names and contents) and over how they
            were split. Part of a trial's identity: two sets of one name (or one set in another order) never
            mix.
    """

    train: "ImageSet | ImageFiles"
    validation: "ImageSet | ImageFiles | None"
    test: "ImageSet | ImageFiles"
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    hash: str
