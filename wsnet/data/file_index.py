"""The index of a streamed set: every file with its label, and the set's hash, memory-mapped by every trial.

The hash covers class names, file names and file contents. A set is checked for changes in two ways:

- A process that plans a sweep, or trains a single trial, compares every file's stamp once (see `own_images.listed`).
  That takes 0.4 s for 60,000 files and about 9 s for ImageNet's 1.3 million, and detects files overwritten in place.
  Only files whose stamp has changed are read again.
- A trial of a sweep checks only the folders' times, which takes milliseconds: the index's file name depends on them,
  and they change whenever a file is added, removed or renamed. On a shared file system, a stat of every file by every
  worker of every trial would take minutes. If the trial's id is not the planned one, every file is checked after all.
"""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wsnet.config.data import DataConfig
from wsnet.config.image_folder import FolderLayout, find_layout
from wsnet.data.cache import cache_folder, labels_of, locked, warn_unwritable, write_batches
from wsnet.data.file_hashes import content_hashes
from wsnet.data.images import DataError, ImageFiles, Statistics, WholeSet, channel_statistics
from wsnet.data.own_images import Listing, listed
from wsnet.data.pixel_sources import evaluation_images
from wsnet.data.sources import lock_name
from wsnet.data.split import stratified

__all__ = ["index_file", "indexed"]

_FORMAT = 2
_MEASURED = 2000
"""Number of training images that mean and standard deviation are measured on."""
_PER_CLASS = 50
"""Validation images of each class of ImageNet."""


def indexed(data: DataConfig, root: Path, *, check: bool = True) -> WholeSet[ImageFiles]:
    """The files of a streamed set, mapped from the cache; if they are not there, first listed and hashed.

    Args:
        data: which images.
        root: the folder of image sets.
        check: whether to check every file for changes, not only the folders.

    Raises:
        DataError: the folder is missing or malformed, a class is empty, or a file cannot be read.
    """
    folder = Path(data.path) if data.path else root / data.name
    try:
        layout = find_layout(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error})") from error
    except DataError as error:
        raise DataError(f"{error}{'' if data.path else _NOT_THERE}") from error
    path, digest = index_file(data, layout), listed(layout).digest if check else None
    if (known := _mapped(path, layout, data, digest)) is not None:
        return known
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(cache_folder() / lock_name(data)))
        except OSError as error:
            warn_unwritable(error, "hashes of images", "every trial reads all of them to hash them again")
        if (known := _mapped(path, layout, data, digest)) is not None:
            return known
        schema, batches = _index(listed(layout), layout, data)
        with contextlib.suppress(OSError):  # The user was warned above.
            write_batches(path, schema, batches)
    return _read(schema, batches, layout, data)


_NOT_THERE = "\nThe images of 'imagenet' are looked for in imagenet/ in the data folder (--data-root), or in data.path."


def index_file(data: DataConfig, layout: FolderLayout) -> Path:
    """The index's file in the cache."""
    key = json.dumps(
        [_FORMAT, data.name, str(layout.root), layout.splits, layout.classes, layout.signature, _size(data)]
    )
    return cache_folder() / f"{data.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.files.arrow"


def _size(data: DataConfig) -> int:
    return data.facts.shape[1]


def _index(listing: Listing, layout: FolderLayout, data: DataConfig) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """Check and hash all files, and measure the statistics of a user's own set. The slowest part comes last."""
    parts = (slice(None, listing.train), slice(listing.train, None))
    columns = [(pa.array(listing.names[part], pa.large_string()), listing.labels[part]) for part in parts]
    files = [ImageFiles(layout.root, names, labels, _size(data)) for names, labels in columns]
    _check(layout, data, *files)
    facts = data.facts
    mean, std = (facts.mean, facts.std) if facts.mean else _measured(files[0])
    metadata = {
        "sha256": _set_hash(listing, layout),
        "listing": listing.digest,
        "mean": json.dumps(mean),
        "std": json.dumps(std),
    }
    schema = pa.schema([("name", pa.large_string()), ("label", pa.int64())], metadata=metadata)
    return schema, [pa.record_batch([names, pa.array(labels)], schema=schema) for names, labels in columns]


def _set_hash(listing: Listing, layout: FolderLayout) -> str:
    """Hash of class names, file names and contents; independent of the folder's path and of test/ or val/."""
    digest = hashlib.sha256(json.dumps(layout.classes).encode())
    for index, (name, content) in enumerate(zip(listing.names, content_hashes(listing), strict=True)):
        split = "train" if index < listing.train else "test"
        digest.update(f"{split}/{name.partition('/')[2]}\0".encode() + content.tobytes())
    return digest.hexdigest()


def _check(layout: FolderLayout, data: DataConfig, train: ImageFiles, test: ImageFiles) -> None:
    """Check that ImageNet is complete."""
    if data.name != "imagenet":
        return
    facts, root = data.facts, layout.root
    part = "; for a part of it, or another set, use data.name 'folder' with data.stream true"
    if len(layout.classes) != facts.classes:
        raise DataError(f"{root / 'train'}: must have {facts.classes:,} classes, but has {len(layout.classes):,}{part}")
    held = np.bincount(test.labels, minlength=facts.classes)
    if len(wrong := np.flatnonzero(held != _PER_CLASS)):
        name, count = layout.classes[wrong[0]], held[wrong[0]]
        raise DataError(f"{root / layout.splits[1] / name}: must have {_PER_CLASS} images, but has {count}{part}")
    if len(train) != facts.train:
        raise DataError(f"{root / 'train'}: must have {facts.train:,} images, but has {len(train):,}{part}")


def _measured(train: ImageFiles) -> Statistics:
    chosen = stratified(train.labels, min(_MEASURED, len(train)), purpose="statistics")
    return channel_statistics(evaluation_images(train, chosen).numpy())


def _mapped(path: Path, layout: FolderLayout, data: DataConfig, digest: str | None) -> WholeSet[ImageFiles] | None:
    """The cached index; None if there is none, or if it is of files with another digest than the one given."""
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            if digest is not None and reader.schema.metadata[b"listing"] != digest.encode():
                return None
            return _read(reader.schema, [reader.get_batch(index) for index in range(2)], layout, data)
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def _read(
    schema: pa.Schema, batches: list[pa.RecordBatch], layout: FolderLayout, data: DataConfig
) -> WholeSet[ImageFiles]:
    metadata: dict[str, Any] = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    mean, std = (tuple(json.loads(metadata[key])) for key in ("mean", "std"))
    train, test = (ImageFiles(layout.root, batch.column(0), labels_of(batch), _size(data)) for batch in batches)
    return WholeSet(train, test, layout.classes, metadata["sha256"], (mean, std))
