"""Decoded image sets in Arrow IPC files: written once, memory-mapped by every trial without copying or decoding."""

import contextlib
import fcntl
import hashlib
import json
import os
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from wsnet.data.images import DecodedSet, ImageSet
from wsnet.data.location import cache_folder
from wsnet.data.sources import Source, fetch_source, find_source
from wsnet.data.split import SPLIT_VERSION

__all__ = ["decoded", "map_decoded", "write_decoded"]

# Raise it whenever the files below, or the pixels decoded into them, change.
_FORMAT = 1


def decoded(name: str, root: Path) -> DecodedSet:
    """An image set, mapped from the cache; decoded (or downloaded and decoded) first where it is not there.

    Of several processes that start at once, one decodes and the others wait for it. A cache folder that can not be
    written costs a warning and the time to decode.

    Raises:
        DataError: if the images are missing or damaged.
    """
    source = find_source(name, root)
    if source is not None and (cached := map_decoded(_cache_file(source))) is not None:
        return cached
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_lock(cache_folder() / f"{name}.lock"))
        except OSError as error:
            _warn(error)
            return (source or fetch_source(name, root)).decode()
        source = find_source(name, root) or fetch_source(name, root)
        path = _cache_file(source)
        if (cached := map_decoded(path)) is not None:
            return cached
        images = source.decode()
        try:
            write_decoded(path, images)
        except OSError as error:
            _warn(error)
            return images
    return map_decoded(path) or images


def map_decoded(path: Path) -> DecodedSet | None:
    """Map a file of `write_decoded`; its arrays are read-only views of the mapping.

    Returns:
        The image set, or None where there is no file or not a whole one.
    """
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            metadata = {key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()}
            height, width, channels = json.loads(metadata["shape"])
            parts = [reader.get_batch(index) for index in range(2)]
            train, test = (_as_arrays(part, (height, width, channels)) for part in parts)
            return DecodedSet(train, test, tuple(json.loads(metadata["classes"])), metadata["sha256"])
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def write_decoded(path: Path, images: DecodedSet) -> None:
    """Write an image set under a temporary name, then rename it to `path`.

    Raises:
        OSError: if the folder can not be written.
    """
    shape = images.train.images.shape[1:]
    metadata = {"shape": json.dumps(shape), "classes": json.dumps(images.classes), "sha256": images.sha256}
    width = int(np.prod(shape))
    schema = pa.schema([("image", pa.binary(width)), ("label", pa.int64())], metadata=metadata)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                for part in (images.train, images.test):
                    pixels = pa.py_buffer(np.ascontiguousarray(part.images))
                    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(part), [None, pixels])
                    writer.write_batch(pa.record_batch([column, pa.array(part.labels)], schema=schema))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _as_arrays(part: pa.RecordBatch, shape: tuple[int, int, int]) -> ImageSet:
    pixels = np.frombuffer(part.column(0).buffers()[1], np.uint8, count=part.num_rows * int(np.prod(shape)))
    return ImageSet(pixels.reshape(part.num_rows, *shape), part.column(1).to_numpy(zero_copy_only=True))


def _cache_file(source: Source) -> Path:
    """Named by what was decoded (and by how digits are split), so that other files of one name are another entry."""
    stats = [(str(file.resolve()), file.stat()) for file in source.files]
    fingerprint = [
        _FORMAT,
        SPLIT_VERSION,
        source.name,
        [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats],
    ]
    key = hashlib.sha256(json.dumps(fingerprint).encode()).hexdigest()[:16]
    return cache_folder() / f"{source.name}-{key}.arrow"


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock file; the kernel lets go of it when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _warn(error: OSError) -> None:
    warnings.warn(
        f"decoded images can not be kept in {str(cache_folder())!r} ({error}), so every trial decodes them again; "
        "another folder is chosen by WSNET_CACHE",
        stacklevel=3,
    )
