"""The cache: decoded image sets in Arrow IPC files, written once and memory-mapped by every trial without copying."""

import contextlib
import hashlib
import json
import os
import uuid
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
from filelock import FileLock

from wsnet.config.data import DataConfig
from wsnet.data.images import DataError, ImageSet, Labels, WholeSet
from wsnet.data.sources import FoundSet, fetch_source, find_source, lock_name
from wsnet.data.split import SPLIT_VERSION

__all__ = [
    "cache_file",
    "cache_folder",
    "data_root",
    "decoded",
    "labels_of",
    "locked",
    "map_decoded",
    "warn_unwritable",
    "write_batches",
    "write_decoded",
]


def data_root(option: str | Path | None = None) -> Path:
    """The folder of image sets: `option` (--data-root), else $WSNET_DATA, else ./data."""
    return Path(option or os.environ.get("WSNET_DATA") or "data").expanduser()


def cache_folder() -> Path:
    """The folder of decoded image sets: $WSNET_CACHE, else ~/.cache/wsnet."""
    return Path(os.environ.get("WSNET_CACHE") or "~/.cache/wsnet").expanduser()


# Increment it whenever the file format, or the pixels decoded into it, change.
_FORMAT = 1


def decoded(data: DataConfig, root: Path) -> WholeSet[ImageSet]:
    """An image set, mapped from the cache; if it is not there, first decoded (after a download where necessary).

    Of several processes that start at once, one decodes while the others wait. If the cache folder is not writable,
    each process decodes the set itself, with a warning.

    Raises:
        DataError: if the images are missing or damaged.
    """
    source = find_source(data, root)
    if source is not None and (cached := map_decoded(cache_file(source))) is not None:
        return _as_planned(cached, source)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(cache_folder() / lock_name(data)))
        except OSError as error:
            warn_unwritable(error)
            return (source or fetch_source(data, root)).decode()
        source = find_source(data, root) or fetch_source(data, root)
        path = cache_file(source)
        if (cached := map_decoded(path)) is not None:
            return _as_planned(cached, source)
        images = source.decode()
        try:
            write_decoded(path, images)
        except OSError as error:
            warn_unwritable(error)
            return images
    return map_decoded(path) or images


def _as_planned(images: WholeSet[ImageSet], source: FoundSet) -> WholeSet[ImageSet]:
    """Check the counts: a user's own files may have changed since the configuration was read."""
    facts = source.facts
    now, planned = (len(images.train), len(images.test), len(images.classes)), (facts.train, facts.test, facts.classes)
    if now != planned:
        raise DataError(
            f"{source.folder}: the images have changed since the trial was planned (training images, test images and "
            f"classes were {planned}, now {now}); start again, which trains new trials on the new images"
        )
    return images


def map_decoded(path: Path) -> WholeSet[ImageSet] | None:
    """Map a file written by `write_decoded`; its arrays are read-only views of the mapping.

    Returns:
        The image set, or None if the file is missing or incomplete.
    """
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            metadata = {key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()}
            height, width, channels = json.loads(metadata["shape"])
            parts = [reader.get_batch(index) for index in range(2)]
            train, test = (_as_arrays(part, (height, width, channels)) for part in parts)
            mean, std = json.loads(metadata.get("statistics", "[null, null]"))
            statistics = (tuple(mean), tuple(std)) if mean else None
            return WholeSet(train, test, tuple(json.loads(metadata["classes"])), metadata["sha256"], statistics)
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def write_decoded(path: Path, images: WholeSet[ImageSet]) -> None:
    """Write an image set under a temporary name, then rename it to `path`.

    Raises:
        OSError: if the folder is not writable.
    """
    shape = images.train.images.shape[1:]
    metadata = {"shape": json.dumps(shape), "classes": json.dumps(images.classes), "sha256": images.sha256}
    if images.statistics is not None:
        metadata["statistics"] = json.dumps(images.statistics)
    width = int(np.prod(shape))
    schema = pa.schema([("image", pa.binary(width)), ("label", pa.int64())], metadata=metadata)
    batches = []
    for part in (images.train, images.test):
        pixels = pa.py_buffer(np.ascontiguousarray(part.images))
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(part), [None, pixels])
        batches.append(pa.record_batch([column, pa.array(part.labels)], schema=schema))
    write_batches(path, schema, batches)


def write_batches(path: Path, schema: pa.Schema, batches: list[pa.RecordBatch]) -> None:
    """Write an Arrow IPC file under a temporary name, then rename it to `path`.

    Raises:
        OSError: if the folder is not writable.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _as_arrays(part: pa.RecordBatch, shape: tuple[int, int, int]) -> ImageSet:
    pixels = np.frombuffer(part.column(0).buffers()[1], np.uint8, count=part.num_rows * int(np.prod(shape)))
    return ImageSet(pixels.reshape(part.num_rows, *shape), labels_of(part))


def labels_of(part: pa.RecordBatch) -> Labels:
    """A view of the labels, the second column. pyarrow's own to_numpy would import pandas, which takes 0.3 s."""
    return np.frombuffer(part.column(1).buffers()[1], np.int64, count=part.num_rows)


def cache_file(source: FoundSet) -> Path:
    """Named by the source files and options (and the split of digits): changed files of one name get a new entry."""
    fingerprint = [_FORMAT, SPLIT_VERSION, source.name, source.files, *source.options]
    key = hashlib.sha256(json.dumps(fingerprint).encode()).hexdigest()[:16]
    return cache_folder() / f"{source.name}-{key}.arrow"


def locked(path: Path) -> FileLock:
    """A file lock, to be held by a `with`; the kernel releases it however the process ends.

    Raises:
        OSError: if the folder is not writable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def warn_unwritable(
    error: OSError, what: str = "decoded images", consequence: str = "every trial decodes them again"
) -> None:
    """Warn that nothing can be kept in the cache."""
    warnings.warn(
        f"{what} cannot be kept in {str(cache_folder())!r} ({error}), so {consequence}; "
        "to use another folder, set WSNET_CACHE",
        stacklevel=3,
    )
