"""The index of a streamed set: every file with its label, listed once and memory-mapped by every trial.

ImageNet has 1.3 million files: to list them with their sizes takes seconds to minutes, to look at the folders' times a
few milliseconds. So the index is named by the times of all folders, which change with each file that comes, goes or is
renamed. A file that was written over in its place goes unnoticed until the cache is deleted.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wsnet.config.data import DataConfig
from wsnet.config.image_folder import FolderLayout, find_layout, images_in
from wsnet.data.cache import labels_of, locked, warn_unwritable, write_batches
from wsnet.data.digest import channel_statistics
from wsnet.data.files import ImageFiles, IndexedSet
from wsnet.data.images import DataError, Statistics
from wsnet.data.jpeg import evaluation_images
from wsnet.data.location import cache_folder
from wsnet.data.sources import lock_name
from wsnet.data.split import stratified

__all__ = ["index_file", "indexed"]

_FORMAT = 1
_MEASURED = 2000
"""Training images that mean and standard deviation are measured on."""
_PER_CLASS = 50
"""Validation images of each class of ImageNet."""


def indexed(data: DataConfig, root: Path) -> IndexedSet:
    """The files of a streamed set, mapped from the cache; listed first where they are not there.

    Raises:
        DataError: the folder is not there or not as it should be, or a class is empty.
    """
    folder = Path(data.path) if data.path else root / data.name
    try:
        layout = find_layout(folder)
    except OSError as error:
        raise DataError(f"{folder}: can not be read ({error})") from error
    except DataError as error:
        raise DataError(f"{error}{'' if data.path else _NOT_THERE}") from error
    path = index_file(data, layout)
    if (known := _mapped(path, layout, data)) is not None:
        return known
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(cache_folder() / lock_name(data)))
        except OSError as error:
            warn_unwritable(error)
        if (known := _mapped(path, layout, data)) is not None:
            return known
        schema, batches = _listed(layout, data)
        with contextlib.suppress(OSError):  # Of which was warned.
            write_batches(path, schema, batches)
    return _mapped(path, layout, data) or _read(schema, batches, layout, data)


_NOT_THERE = "\nThe images of 'imagenet' are looked for in imagenet/ in the data folder (--data-root), or in data.path."


def index_file(data: DataConfig, layout: FolderLayout) -> Path:
    """The index's file in the cache."""
    key = json.dumps(
        [_FORMAT, data.name, str(layout.root), layout.splits, layout.classes, layout.signature, _size(data)]
    )
    return cache_folder() / f"{data.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.files.arrow"


def _size(data: DataConfig) -> int:
    return data.facts.shape[1]


def _listed(layout: FolderLayout, data: DataConfig) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """List, check and digest all files, and measure the statistics of a set of one's own."""
    digest, columns = hashlib.sha256(json.dumps(layout.classes).encode()), []
    for split, held in zip(layout.splits, layout.held, strict=True):
        names: list[str] = []
        labels: list[int] = []
        for name, entry in _entries(layout, split, held):
            digest.update(f"{split == 'train'}/{name}/{entry.name} {entry.stat().st_size}\n".encode())
            names.append(f"{split}/{name}/{entry.name}")
            labels.append(layout.classes.index(name) if not labels or names[-2].split("/")[1] != name else labels[-1])
        columns.append((pa.array(names, pa.large_string()), np.array(labels, np.int64)))
    files = [ImageFiles(layout.root, names, labels, _size(data)) for names, labels in columns]
    _check(layout, data, *files)
    facts = data.facts
    mean, std = (facts.mean, facts.std) if facts.mean else _measured(files[0])
    metadata = {"sha256": digest.hexdigest(), "mean": json.dumps(mean), "std": json.dumps(std)}
    schema = pa.schema([("name", pa.large_string()), ("label", pa.int64())], metadata=metadata)
    return schema, [pa.record_batch([names, pa.array(labels)], schema=schema) for names, labels in columns]


def _entries(layout: FolderLayout, split: str, held: tuple[str, ...]) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    for name in held:
        for entry in images_in(layout.root / split / name):
            yield name, entry


def _check(layout: FolderLayout, data: DataConfig, train: ImageFiles, test: ImageFiles) -> None:
    """ImageNet has to be whole."""
    if data.name != "imagenet":
        return
    facts, root = data.facts, layout.root
    part = "; for a part of it, or another set: data.name 'folder' with data.stream true"
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


def _mapped(path: Path, layout: FolderLayout, data: DataConfig) -> IndexedSet | None:
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            return _read(reader.schema, [reader.get_batch(index) for index in range(2)], layout, data)
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def _read(schema: pa.Schema, batches: list[pa.RecordBatch], layout: FolderLayout, data: DataConfig) -> IndexedSet:
    metadata: dict[str, Any] = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    mean, std = (tuple(json.loads(metadata[key])) for key in ("mean", "std"))
    train, test = (ImageFiles(layout.root, batch.column(0), labels_of(batch), _size(data)) for batch in batches)
    return IndexedSet(train, test, layout.classes, metadata["sha256"], mean, std)
