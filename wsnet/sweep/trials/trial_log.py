"""A trial's `log.txt`: what it prints, however much that is."""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wsnet.storage import Folder

__all__ = ["logged"]

_LOG, _FIRST, _PREVIOUS = "log.txt", "log.first.txt", "log.previous.txt"

_LIMIT = 10_000_000
"""Bytes of one of the three files."""

_CONTINUED = f"... (earlier output: {_FIRST} has the beginning; {_PREVIOUS}, if any, has what came just before)\n"


@contextlib.contextmanager
def logged(folder: Folder | None) -> Iterator[None]:
    """Redirect what Python prints to `log.txt` in a trial's folder, if given.

    When the file is full, it is kept as `log.first.txt`, later as `log.previous.txt`, and a new one is begun: a trial
    that prints without end fills three files, and what it printed first and last can be read.
    """
    if folder is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="wsnet-log-") if folder.local is None else contextlib.nullcontext() as here:
        local = folder.local or Path(str(here))
        local.mkdir(parents=True, exist_ok=True)
        file = _Log(local)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        finally:
            file.close()
            if folder.local is None:  # Object stores cannot append to a file.
                _upload(local, folder)


class _Log(io.TextIOBase):
    """A text file, flushed after each write, that makes room by renaming itself.

    Args:
        folder: where the files are; what earlier starts wrote is continued.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open()

    def write(self, text: str) -> int:
        """Append text; the middle of a text longer than a file is left out."""
        shown = text
        if len(text) > _LIMIT // 4:  # A character may take four bytes.
            half = _LIMIT // 8
            shown = f"{text[:half]}\n... ({len(text) - 2 * half:,} characters left out) ...\n{text[-half:]}"
        data = shown.encode(errors="backslashreplace")
        if self._bytes and self._bytes + len(data) > _LIMIT:
            self._make_room()
        self._file.write(data)
        self._file.flush()
        self._bytes += len(data)
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def _open(self) -> None:
        self._file = open(self._folder / _LOG, "ab")  # noqa: SIM115
        self._bytes = self._file.tell()

    def _make_room(self) -> None:
        self._file.close()
        full = self._folder / _LOG
        full.replace(self._folder / (_PREVIOUS if (self._folder / _FIRST).exists() else _FIRST))
        self._open()
        self._bytes += self._file.write(_CONTINUED.encode())


def _upload(local: Path, folder: Folder) -> None:
    """Add what was logged to the files in a remote folder."""
    is_full = (local / _FIRST).exists()
    for name in (_FIRST, _PREVIOUS, _LOG) if is_full else (_LOG,):
        if (local / name).exists():
            data = (local / name).read_bytes()
            folder.write(name, data) if is_full else folder.append(name, data)
