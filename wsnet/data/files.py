"""Images of a streamed set: where their files are, with their labels. An image is read when a batch asks for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wsnet.data.images import Labels

__all__ = ["ImageFiles", "IndexedSet"]


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files of one split; stands where an `ImageSet` stands.

    Attributes:
        root: the folder of the set.
        names: paths below it, strings (N,).
        labels: int64 (N,), from 0.
        size: pixels of a side that images are brought to.
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


@dataclass(frozen=True, eq=False)
class IndexedSet:
    """All files of a streamed set.

    Attributes:
        train: the training images.
        test: the test images.
        classes: the name of every class, by label.
        sha256: digest of the names of classes and files and of every file's content.
        mean: per-channel mean, as a share of 255.
        std: per-channel standard deviation, as a share of 255.
    """

    train: ImageFiles
    test: ImageFiles
    classes: tuple[str, ...]
    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
