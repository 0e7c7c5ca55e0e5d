"""Ends a trial's process when the trial makes no step for too long: then Ray retries it like any that crashed.

A norm of the user's own may sleep, wait or loop for ever, also in C code that holds Python's lock, where no thread of
Python can run. The timer is therefore one of the C library, `faulthandler.dump_traceback_later`, which a thread of
Python sets anew as long as steps are made. The trial itself only counts them.
"""

import contextlib
import faulthandler
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any, Self

from wsnet.storage import Folder

__all__ = ["STALLED", "StallWatch", "stall_reason"]

STALLED = "stalled.txt"
"""Name of the file in a trial's folder that says where it stalled."""

_SIGN = b"Timeout ("
"""The first line that faulthandler writes when the timer expires begins like this."""

_START_SECONDS = 60.0
"""Added to the limit until the first step: torch imports its compiler then, which takes long on a busy machine."""

_LONGEST_POLL = 5.0
"""Seconds between two looks at the counter; less with a short timeout."""


class StallWatch:
    """A context manager that ends this process with status 1, and leaves `stalled.txt`, if no step is counted in time.

    Args:
        seconds: longest time without a step; None: no limit.
        folder: the trial's folder.
    """

    def __init__(self, seconds: float | None, folder: Folder) -> None:
        self._seconds, self._folder = seconds, folder
        self._steps = 0
        self._is_suspended = False
        self._ended = threading.Event()
        self._arming = threading.Lock()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._file is not None:
            with self._arming:
                faulthandler.cancel_dump_traceback_later()
            self._file.close()
            if stall_reason(self._folder) is None:  # Otherwise another worker of this trial has stalled.
                self._folder.delete(STALLED)

    def start(self) -> None:
        """Begin to watch: the trial is no longer waiting for another process to release its directory."""
        if self._seconds is None:
            return
        local = self._folder.local
        self._file = tempfile.TemporaryFile() if local is None else open(local / STALLED, "ab")  # noqa: SIM115
        if not self._file.tell():
            self._file.write(f"no step for {self._seconds:g} s; what each thread was doing:\n".encode())
            self._file.flush()
        self._arm()
        threading.Thread(target=self._watch, name="wsnet-stall", daemon=True).start()

    def step(self, *_: Any) -> None:
        """Count a step, or an epoch."""
        self._steps += 1

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Within the context no step is expected, since the trial waits for others."""
        self._is_suspended = True
        try:
            yield
        finally:
            self._steps += 1
            self._is_suspended = False

    def _watch(self) -> None:
        assert self._seconds is not None
        seen, since = 0, time.monotonic()
        while not self._ended.wait(min(_LONGEST_POLL, self._seconds / 10)):
            if self._steps != seen or self._is_suspended:
                seen, since = self._steps, time.monotonic()
                self._arm()
            elif self._folder.local is None and time.monotonic() - since > self._limit:
                self._end_with_remote_folder()

    @property
    def _limit(self) -> float:
        assert self._seconds is not None
        return self._seconds if self._steps else self._seconds + _START_SECONDS

    def _arm(self) -> None:
        """Set the timer anew."""
        assert self._file is not None
        with self._arming:
            if not self._ended.is_set():
                # With a remote folder the timer is for code that holds Python's lock: it cannot write the reason there.
                limit = self._limit if self._folder.local is not None else 1.5 * self._limit
                faulthandler.dump_traceback_later(limit, exit=True, file=self._file)

    def _end_with_remote_folder(self) -> None:
        assert self._file is not None
        self._file.write(_SIGN + b"remote storage)!\n")
        self._file.flush()
        faulthandler.dump_traceback(self._file)
        self._file.seek(0)
        try:
            self._folder.write(STALLED, self._file.read())
        finally:
            os._exit(1)


def stall_reason(folder: Folder) -> tuple[str, str] | None:
    """Why a trial's process was ended, in one line, and what its threads were doing; None if it did not stall."""
    data = folder.read(STALLED)
    if data is None or _SIGN not in data:
        return None
    text = data.decode(errors="replace")
    return text.partition(";")[0], text
