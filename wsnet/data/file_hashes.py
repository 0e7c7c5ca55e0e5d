"""SHA-256 of every file in a folder of images: computed once, and cached while the file's stamp stays the same."""

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wsnet.data.cache import cache_folder, write_batches
from wsnet.data.images import DataError
from wsnet.data.own_images import STAMP, Listing, Stamps

__all__ = ["Hashes", "Progress", "content_hashes", "table_file"]

Hashes = NDArray[np.uint8]
"""(N, 32): the SHA-256 of each file."""

_FORMAT = 1
_THREADS = 16
"""Often more than the machine has CPUs: hashing waits for the disk or the network most of the time."""
_CHUNK = 64
"""Files that a thread reads before it hands over their hashes."""
_SCHEMA = pa.schema(
    [("name", pa.large_string()), ("stamp", pa.binary(STAMP * 8)), ("sha256", pa.binary(32))],
    metadata={"format": str(_FORMAT)},
)


def content_hashes(listing: Listing) -> Hashes:
    """The hash of each listed file, taken from the cached table if the file's stamp is unchanged.

    Raises:
        DataError: naming a file that cannot be read.
    """
    table = table_file(listing.root)
    hashes, known = _looked_up(table, listing)
    missing = np.flatnonzero(~known)
    if not len(missing):
        return hashes
    progress = Progress(listing, missing)
    try:
        with _hashed(listing, missing) as chunks:
            for at, found in chunks:
                hashes[at] = found
                known[at] = True
                if progress.due(at):
                    _save(table, listing, hashes, known)
    finally:
        _save(table, listing, hashes, known)
    return hashes


def table_file(root: Path) -> Path:
    """Path of a folder's table in the cache."""
    key = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return cache_folder() / f"{key}.hashes.arrow"


@contextmanager
def _hashed(listing: Listing, missing: NDArray[np.int64]) -> Iterator[Iterator[tuple[NDArray[np.int64], Hashes]]]:
    """Positions and hashes, chunk by chunk as they complete; chunks not yet started are cancelled on exit."""
    chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
    pool = ThreadPoolExecutor(min(_THREADS, len(chunks)))
    try:
        futures: dict[Future[Hashes], NDArray[np.int64]] = {
            pool.submit(_hash_chunk, [listing.root / listing.names[index] for index in chunk]): chunk
            for chunk in chunks
        }
        yield ((futures[done], done.result()) for done in as_completed(futures))
    finally:
        pool.shutdown(cancel_futures=True)


def _hash_chunk(paths: list[Path]) -> Hashes:
    return np.frombuffer(b"".join(map(_hash_file, paths)), np.uint8).reshape(-1, 32)


def _hash_file(path: Path) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.sha256(file.read()).digest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _looked_up(table: Path, listing: Listing) -> tuple[Hashes, NDArray[np.bool_]]:
    """The cached hashes of the files whose stamps match, and a mask of these files."""
    import pyarrow.compute as compute

    size = len(listing.names)
    hashes, known = np.zeros((size, 32), np.uint8), np.zeros(size, bool)
    try:
        with pa.memory_map(str(table)) as file:
            reader = pa.ipc.open_file(file)
            if not reader.schema.equals(_SCHEMA, check_metadata=True):
                return hashes, known
            rows = reader.get_batch(0)
            names = pa.array(listing.names, pa.large_string())
            found = compute.index_in(names, value_set=rows.column(0)).fill_null(-1)
            at = np.frombuffer(found.buffers()[1], np.int32, count=size)
            stamps = _column(rows, 1).view("<i8")
            known = at >= 0
            known[known] = (stamps[at[known]] == listing.stamps[known]).all(axis=1)
            hashes[known] = _column(rows, 2)[at[known]]
    except (OSError, pa.ArrowException):
        pass
    return hashes, known


def _column(rows: pa.RecordBatch, index: int) -> NDArray[np.uint8]:
    width = rows.schema.field(index).type.byte_width
    buffer = rows.column(index).buffers()[1]
    return np.frombuffer(buffer, np.uint8, count=rows.num_rows * width).reshape(-1, width)


def _save(table: Path, listing: Listing, hashes: Hashes, known: NDArray[np.bool_]) -> None:
    """Save the hashes known so far. An unwritable folder is ignored: the user was warned before."""
    at = np.flatnonzero(known)
    columns: list[tuple[int, Stamps | Hashes]] = [(STAMP * 8, listing.stamps[at].astype("<i8")), (32, hashes[at])]
    arrays = [pa.array([listing.names[index] for index in at], pa.large_string())]
    for width, values in columns:
        buffer = pa.py_buffer(np.ascontiguousarray(values).tobytes())
        arrays.append(pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(at), [None, buffer]))
    with suppress(OSError):
        write_batches(table, _SCHEMA, [pa.record_batch(arrays, schema=_SCHEMA)])


_FIRST, _LONGEST = 2.0, 60.0
"""Seconds until progress is first printed; the intervals then double, up to the longest."""


class Progress:
    """Prints hashing progress at intervals.

    Args:
        listing: the files of a set.
        missing: indices of the files to read.
    """

    def __init__(self, listing: Listing, missing: NDArray[np.int64]) -> None:
        self._root, self._sizes, self._files = listing.root, listing.stamps[:, 0], len(missing)
        self._bytes = int(self._sizes[missing].sum())
        self._done, self._done_files = 0, 0
        self._began = time.monotonic()
        self._pause = _FIRST
        self._next = self._began + _FIRST

    def due(self, at: NDArray[np.int64]) -> bool:
        """Count finished files; print progress and return True if the interval has passed."""
        self._done += int(self._sizes[at].sum())
        self._done_files += len(at)
        now = time.monotonic()
        if now < self._next:
            return False
        self._pause = min(2 * self._pause, _LONGEST)
        self._next = now + self._pause
        rate = self._done / (now - self._began)
        left = timedelta(seconds=round((self._bytes - self._done) / max(rate, 1)))
        print(
            f"{self._root}: reading every image once to hash it: {self._done_files:,} of {self._files:,} images, "
            f"{self._done / 1e9:.1f} of {self._bytes / 1e9:.1f} GB, {rate / 1e6:.0f} MB/s, {left} left",
            file=sys.stderr,
            flush=True,
        )
        return True
