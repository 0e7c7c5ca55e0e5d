"""A user's own image sets: the files of a folder of images, and the decoding of sets that fit into memory.

A file's stamp (size, times and inode) shows whether it was overwritten. Listing takes one stat call per file, in one
thread: 60,000 files on a local disk take 0.4 s once the kernel has cached their inodes, so ImageNet's 1.3 million take
about 9 s. On two CPUs, 2, 4 and 8 threads were no faster, since the interpreter lock is held between the calls.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsnet.config.data import DataConfig
from wsnet.config.image_folder import FolderLayout, find_layout, images_in
from wsnet.config.image_table import find_tables
from wsnet.data.decode import check_memory, decode
from wsnet.data.images import DataError, ImageSet, Labels
from wsnet.data.parquet import read_tables

__all__ = ["STAMP", "Listing", "Stamps", "Stat", "decode_own", "listed", "own_files"]

STAMP = 4
"""Integers per stamp."""
Stamps = NDArray[np.int64]
"""(N, STAMP): size in bytes, mtime and ctime in ns, inode. The ctime changes even if the mtime is set back."""

Stat = tuple[str, int, int]
"""Path, size in bytes, and mtime in ns."""


@dataclass(frozen=True, eq=False)
class Listing:
    """Every image file of a set, the training images first.

    Attributes:
        root: the folder of the set.
        names: paths relative to it.
        labels: int64 (N,), from 0.
        stamps: size, mtime, ctime and inode of each file.
        train: number of training images.
        digest: SHA-256 over names and stamps.
    """

    root: Path
    names: list[str]
    labels: Labels
    stamps: Stamps
    train: int
    digest: str


@lru_cache(maxsize=4)
def listed(layout: FolderLayout) -> Listing:
    """List and stat all files, once per process for as long as the folders' times are the same.

    Raises:
        DataError: naming a file or folder that cannot be read, or a class without images.
    """
    names: list[str] = []
    labels: list[int] = []
    stamps: list[tuple[int, ...]] = []
    counts = []
    for split, held in zip(layout.splits, layout.held, strict=True):
        for name in held:
            entries = _entries(layout.root / split / name)
            names += [f"{split}/{name}/{entry.name}" for entry, _ in entries]
            stamps += [stamp for _, stamp in entries]
            labels += [layout.classes.index(name)] * len(entries)
        counts.append(len(names))
    stamped = np.array(stamps, np.int64).reshape(-1, STAMP)
    digest = hashlib.sha256("\0".join(names).encode(errors="surrogateescape") + stamped.astype("<i8").tobytes())
    return Listing(layout.root, names, np.array(labels, np.int64), stamped, counts[0], digest.hexdigest())


def _entries(folder: Path) -> list[tuple["os.DirEntry[str]", tuple[int, ...]]]:
    try:
        return [(entry, _stamp(entry.stat())) for entry in images_in(folder)]
    except OSError as error:
        raise DataError(f"{error.filename or folder}: cannot be read ({error.strerror or error})") from error


def _stamp(stat: os.stat_result) -> tuple[int, ...]:
    """The stamp from a stat result (links are followed); the mask makes the unsigned inode fit int64."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino & (2**63 - 1)


def own_files(data: DataConfig) -> list[Stat]:
    """Every file of a set with its size and mtime, which show whether it has changed since it was decoded.

    Raises:
        DataError: the set is missing or malformed.
    """
    root = _root(data)
    try:
        if data.name == "folder":
            listing = listed(find_layout(root))
            stamps = listing.stamps[:, :2].tolist()
            return [(name, size, time) for name, (size, time) in zip(listing.names, stamps, strict=True)]
        files = [(str(file), file.stat()) for tables in find_tables(root) for file in tables]
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error})") from error
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in files]


def decode_own(data: DataConfig) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """Decode a set: training images, test images, class names.

    Raises:
        DataError: naming the file (and the row) that is damaged or not as expected.
    """
    root, facts = _root(data), data.facts
    check_memory(facts.train + facts.test, facts.shape, str(root))
    if data.name == "parquet":
        return read_tables(*find_tables(root), classes=facts.classes, shape=facts.shape, resize=data.size is not None)
    layout = find_layout(root)
    listing = listed(layout)
    train, test = (_decoded(listing, part, data) for part in (slice(listing.train), slice(listing.train, None)))
    return train, test, layout.classes


def _decoded(listing: Listing, part: slice, data: DataConfig) -> ImageSet:
    files = [listing.root / name for name in listing.names[part]]
    pixels = decode(files, lambda index: str(files[index]), data.facts.shape, resize=data.size is not None)
    return ImageSet(pixels, listing.labels[part])


def _root(data: DataConfig) -> Path:
    assert data.path is not None
    return Path(data.path)
