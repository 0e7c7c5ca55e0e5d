"""The types of a loaded image set: arrays or files with labels, divided into splits; and its identifying hash."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wsnet.config.datasets import DataError

__all__ = [
    "DataError",
    "ImageFiles",
    "ImageSet",
    "ImageSplits",
    "Labels",
    "Pixels",
    "Split",
    "Statistics",
    "WholeSet",
    "channel_statistics",
    "checked_set",
]

# Shape legend of wsnet.data: N images in a set, B in a batch, H rows, W columns, C channels.
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation per channel, as fractions of 255."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one split, in memory.

    Attributes:
        images: uint8 (N, H, W, C); read-only if mapped from the cache.
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
class ImageFiles:
    """Image files of one split: an image is read when a batch asks for it.

    Attributes:
        root: the folder of the set.
        names: paths relative to it, strings (N,).
        labels: int64 (N,), from 0.
        size: side in pixels that images are resized and cropped to.
    """

    root: Path
    names: pa.Array
    labels: Labels
    size: int

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """The file of one image."""
        return self.root / str(self.names[index])

    def subset(self, indices: NDArray[np.int64]) -> "ImageFiles":
        """The files at `indices`, in that order."""
        # Not pa.array(indices), which would import pandas
        at = pa.Array.from_buffers(pa.int64(), len(indices), [None, pa.py_buffer(np.ascontiguousarray(indices))])
        return ImageFiles(self.root, self.names.take(at), self.labels[indices], self.size)


Split = TypeVar("Split", ImageSet, ImageFiles)


@dataclass(frozen=True, eq=False)
class WholeSet(Generic[Split]):
    """A complete image set, in the order of its source.

    Attributes:
        train: the official training images.
        test: the official test images.
        classes: the name of every class, by label.
        sha256: digest of all pixels and labels; for image files, of class names, file names and file contents.
        statistics: mean and standard deviation of the training pixels, if measured.
    """

    train: Split
    test: Split
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
        mean: per-channel mean, as a fraction of 255.
        std: per-channel standard deviation, as a fraction of 255.
        hash: SHA-256 of the decoded arrays (for a streamed set, of its files' names and contents) and of the split.
            Part of a trial's identity: results on two sets of the same name (or on one set in a different order) are
            never mixed up.
    """

    train: ImageSet | ImageFiles
    validation: ImageSet | ImageFiles | None
    test: ImageSet | ImageFiles
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    hash: str


def checked_set(
    train: ImageSet,
    test: ImageSet,
    classes: tuple[str, ...],
    *,
    sizes: tuple[int, int],
    shape: tuple[int, int, int],
    source: str,
    measured: bool = False,
) -> WholeSet[ImageSet]:
    """Check decoded arrays against the known facts about their set, and hash them.

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
    return WholeSet(train, test, classes, digest.hexdigest(), statistics)


def channel_statistics(pixels: Pixels) -> Statistics:
    """Mean and standard deviation of each channel as fractions of 255, to 4 decimals like the published ones.

    Computed from integer counts, not float sums, so the same on every machine. A constant channel gets deviation 1.
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
