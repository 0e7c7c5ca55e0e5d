"""The file of a lease: of several processes that create it or take it over at once, one succeeds."""

import errno
import os
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Protocol

__all__ = ["LeaseFile", "Place"]

_SETTLED_SECONDS = 1.0
"""Wait before looking whose file it is, where files cannot be created exclusively."""

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)
"""Errors of filesystems without hard links."""


class Place(Protocol):
    """What is needed of a `Folder`."""

    location: str

    @property
    def local(self) -> Path | None: ...  # noqa: D102

    def read(self, name: str) -> bytes | None: ...  # noqa: D102

    def write(self, name: str, data: bytes) -> None: ...  # noqa: D102

    def delete(self, name: str) -> None: ...  # noqa: D102

    def modified(self, name: str) -> int: ...  # noqa: D102


class LeaseFile:
    """A small file in a folder.

    Args:
        folder: the folder.
        name: the file's name.
    """

    def __init__(self, folder: Place, name: str) -> None:
        self._folder, self._name = folder, name

    def read(self) -> bytes | None:
        """Its content; None where it is absent."""
        try:
            return self._folder.read(self._name)
        except FileNotFoundError:  # Deleted since the look whether it is there.
            return None

    def modified(self) -> int:
        """When it was modified, in ns by the storage's clock; 0 where it is absent."""
        return self._folder.modified(self._name)

    def touch(self) -> None:
        """Change when it was modified."""
        if self._folder.local is not None:
            os.utime(self._folder.local / self._name)
        elif (data := self.read()) is not None:
            self._folder.write(self._name, data)

    def delete(self) -> None:
        """Delete it."""
        with suppress(FileNotFoundError):
            self._folder.delete(self._name)

    def create(self, data: bytes) -> bool:
        """Write it unless it exists; whether it did not.

        pyarrow cannot create a file exclusively in an object store. There, this writes it, waits a second, and looks
        whose content is there: two processes can both succeed only if one of them takes longer than that to write.
        """
        local = self._folder.local
        if local is None:
            if self.read() is not None:
                return False
            self._folder.write(self._name, data)
            time.sleep(_SETTLED_SECONDS)
            return self.read() == data
        local.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=local, prefix=f".{self._name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.link(temporary, local / self._name)  # Unlike opening with O_EXCL, it never shows half a file.
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _create_exclusively(local / self._name, data)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return True

    def discard(self, data: bytes) -> None:
        """Delete it if it still holds `data`: of several processes that do so, none deletes a newer file for good."""
        local = self._folder.local
        if local is None:
            if self.read() == data:
                self.delete()
            return
        aside = local / f".{self._name}.{uuid.uuid4().hex}"
        try:
            os.rename(local / self._name, aside)
        except FileNotFoundError:
            return
        if aside.read_bytes() != data:  # Another process was faster, and this is its file.
            with suppress(OSError):
                os.link(aside, local / self._name)
        aside.unlink(missing_ok=True)


def _create_exclusively(file: Path, data: bytes) -> bool:
    try:
        with file.open("xb") as opened:
            opened.write(data)
    except FileExistsError:
        return False
    return True
