"""Waiting for storage on a network that does not answer: a sweep outlives minutes of it, a single look does not."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["StorageLost", "patience", "patient", "retried"]

_T = TypeVar("_T")

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 20.0
"""Seconds between two tries; doubled each time."""

_TICK = 0.25
"""Seconds between two calls of the function that shows the outage."""

_NOT_AN_OUTAGE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class StorageLost(OSError):
    """The storage has not answered for minutes; the message is one sentence for the user."""


def patience() -> float:
    """Seconds that a sweep waits for remote storage that does not answer."""
    return float(os.environ.get("WSNET_STORAGE_PATIENCE", "180"))


class _Patience:
    """How long the calls of this process wait for the storage, in all, and who is told.

    Attributes:
        seconds: of one outage, over all calls and threads; 0 means not to wait.
        show: called with what is wrong, again and again while a call waits, and with None when it is over.
        began: when the outage began, on the monotonic clock; None while the storage answers.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.show: Callable[[str | None], None] = lambda text: None
        self.began: float | None = None


_patience = _Patience()


@contextmanager
def patient(seconds: float, show: Callable[[str | None], None] = lambda text: None) -> Iterator[None]:
    """Within the context, calls to remote storage wait for it to come back.

    Args:
        seconds: how long an outage may take.
        show: called in the main thread with a line about the outage while it lasts, and with None when it is over.
    """
    before = _patience.seconds, _patience.show
    _patience.seconds, _patience.show = seconds, show
    try:
        yield
    finally:
        _patience.seconds, _patience.show = before


def retried(call: Callable[[], _T], place: str) -> _T:
    """Call a function that uses remote storage, again and again while that does not answer.

    Args:
        call: the function, which may be repeated.
        place: the storage, for messages.

    Raises:
        StorageLost: it did not come back in the time that `patient` gives.
        OSError: as the function, if there is no such time, or no waiting would help.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            result = call()
        except _NOT_AN_OUTAGE:
            raise
        except OSError as error:
            if not _patience.seconds:
                raise
            if _patience.began is None:
                _patience.began = time.monotonic()
            waited = time.monotonic() - _patience.began
            reason = str(error).rpartition("Details: ")[2].splitlines()[0]
            if waited > _patience.seconds:
                raise StorageLost(f"{place} has not answered for {waited:.0f} seconds ({reason})") from None
            _wait(pause, f"{place} does not answer ({reason}); waiting for it")
            pause = min(2 * pause, _LONGEST_PAUSE)
            continue
        if _patience.began is not None:
            _patience.began = None
            if _is_main():
                _patience.show(None)
        return result


def _wait(seconds: float, text: str) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if _is_main():
            _patience.show(text)
        time.sleep(_TICK)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
