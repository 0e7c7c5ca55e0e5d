"""A folder on any pyarrow filesystem (local, NFS, S3, ...), with atomic writes."""

import os
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from pyarrow import fs

from wsnet.errors import Error
from wsnet.storage.lease import Lease
from wsnet.storage.outage import retried

__all__ = ["DamagedFile", "Folder", "StorageError"]

_T = TypeVar("_T")

_OBJECT_STORES = {"s3", "gcs", "abfs"}
"""Filesystems that show a file only when its upload is complete, and that have no folders to create."""


class StorageError(Error):
    """A place for results cannot be used; the message says which one and what to do."""


class DamagedFile(StorageError):
    """A file of results is not what was written: it is cut off, garbled, or a bit has flipped."""


class Folder:
    """A folder that need not exist yet: reading finds nothing, writing creates it.

    Args:
        location: a path, or a URI that pyarrow understands (`s3://bucket/runs`, `file:///data/runs`).

    Raises:
        StorageError: the location is empty, or neither a path nor a URI of a known filesystem.
    """

    def __init__(self, location: str | os.PathLike[str], *, filesystem: fs.FileSystem | None = None) -> None:
        self.location = os.fspath(location)
        if not self.location:
            raise StorageError("storage must be a path or a URI, but got an empty one; '.' is the current folder")
        if filesystem is not None:
            self._fs, self._path = filesystem, self.location
        elif "://" in self.location:
            try:
                self._fs, self._path = fs.FileSystem.from_uri(_in_one_request(self.location))
            except (ValueError, OSError) as error:
                rule = "storage must be a path or a URI known to pyarrow"
                raise StorageError(f"{rule}, but got {location!r}: {error}") from error
        else:
            try:
                self._fs, self._path = fs.LocalFileSystem(), str(Path(self.location).expanduser().absolute())
            except RuntimeError as error:  # There is no such user.
                raise StorageError(f"storage must be a path or a URI, but got {location!r}: {error}") from None

    def __repr__(self) -> str:
        return f"Folder({self.location!r})"

    def __truediv__(self, name: str) -> "Folder":
        child = Folder.__new__(Folder)
        base, mark, query = self.location.partition("?") if "://" in self.location else (self.location, "", "")
        child.location = f"{base.rstrip('/')}/{name}{mark}{query}"
        child._fs, child._path = self._fs, f"{self._path.rstrip('/')}/{name}"
        return child

    @property
    def local(self) -> Path | None:
        """The path on this machine, or None where the folder is remote."""
        return Path(self._path) if isinstance(self._fs, fs.LocalFileSystem) else None

    def exists(self, name: str) -> bool:
        """Whether a file of this name is there."""
        return bool(self._info(name).type == fs.FileType.File)

    def existing(self, names: list[str]) -> list[bool]:
        """Whether each file is there, in one call to the filesystem."""
        paths = [f"{self._path}/{name}" for name in names]
        infos = self._retried(lambda: self._fs.get_file_info(paths)) if names else []
        return [info.type == fs.FileType.File for info in infos]

    def size(self, name: str) -> int:
        """Bytes of a file; 0 where it is absent."""
        return self._info(name).size or 0

    def names(self) -> list[str]:
        """Sorted names of the files and folders in the folder; empty if it is absent.

        Names with a leading dot are left out: leases, and temporary files that a killed writer left behind.
        """
        selector = fs.FileSelector(self._path, allow_not_found=True)
        names = (info.base_name for info in self._retried(lambda: self._fs.get_file_info(selector)))
        return sorted(name for name in names if not name.startswith("."))

    def read(self, name: str) -> bytes | None:
        """A file's bytes, or None where it is absent."""
        if not isinstance(self._fs, fs.LocalFileSystem):
            return self._read(name) if self.exists(name) else None
        path = f"{self._path}/{name}"  # Not a `Path`: that takes longer than reading, and a sweep reads thousands.
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # A pipe would be waited for for ever.
                return None
            with open(path, "rb", buffering=0) as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file atomically: readers see the old one or all of the new one, even after a crash."""
        local = self.local
        if local is None:
            self._retried(lambda: self._write_remote(name, data))
            return
        local.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=local, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, local / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(local)

    def append(self, name: str, data: bytes) -> None:
        """Append to a file. A crash may leave only part of `data`, which readers must be able to detect.

        When this returns, the bytes are on disk, safe from a power failure.
        """
        local = self.local
        if local is None:
            self.write(name, (self.read(name) or b"") + data)
            return
        local.mkdir(parents=True, exist_ok=True)
        is_new = not (local / name).exists()
        with open(local / name, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(local)

    def rename(self, name: str, new: str) -> None:
        """Rename a file if it is there, replacing any file of the new name."""
        if self.local is not None:
            with suppress(FileNotFoundError):
                os.replace(self.local / name, self.local / new)
        elif (data := self.read(name)) is not None:
            self.write(new, data)
            self.delete(name)

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""
        if self.exists(name):
            self._retried(lambda: self._fs.delete_file(f"{self._path}/{name}"))

    def modified(self, name: str) -> int:
        """When a file was modified, in ns by the storage's clock; 0 where it is absent."""
        return self._info(name).mtime_ns or 0

    def lease(self, name: str = ".lease") -> Lease:
        """The folder's lease: one process at a time has it, and loses it when it dies."""
        return Lease(self, name)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder's lease for a short time; waits while another process holds it.

        Only for local folders: in an object store it would take seconds.
        """
        with nullcontext() if self.local is None else self.lease():
            yield

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Like `lock`, but gives False instead of waiting while another process holds the lease."""
        if self.local is None:
            yield True
            return
        lease = self.lease()
        is_ours = lease.try_acquire()
        try:
            yield is_ours
        finally:
            lease.release()

    def is_locked(self) -> bool:
        """Whether a process holds the folder's lease; False for remote folders."""
        holder = None if self.local is None else self.lease().holder()
        return holder is not None and not holder.is_dead

    def _write_remote(self, name: str, data: bytes) -> None:
        if self._fs.type_name in _OBJECT_STORES:
            with self._fs.open_output_stream(f"{self._path}/{name}") as stream:
                stream.write(data)
            return
        self._fs.create_dir(self._path, recursive=True)
        temporary = f"{self._path}/.{name}.{uuid.uuid4().hex}"
        with self._fs.open_output_stream(temporary) as stream:
            stream.write(data)
        self._fs.move(temporary, f"{self._path}/{name}")

    def _read(self, name: str) -> bytes:
        def read() -> bytes:
            with self._fs.open_input_stream(f"{self._path}/{name}") as stream:
                return bytes(stream.read())

        return self._retried(read)

    def _info(self, name: str) -> fs.FileInfo:
        return self._retried(lambda: self._fs.get_file_info(f"{self._path}/{name}"))

    def _retried(self, call: Callable[[], _T]) -> _T:
        return call() if self.local is not None else retried(call, self.location.partition("?")[0])


def _in_one_request(uri: str) -> str:
    """An S3 URI with the option to write small files by one request instead of three, unless it has it already."""
    if not uri.startswith("s3://") or "allow_delayed_open=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"


def _sync_folder(folder: Path) -> None:
    """Put a folder's list of files on disk: without it, a new or renamed file may be missing after a power failure."""
    if os.name != "posix":
        return  # Windows cannot open folders.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
