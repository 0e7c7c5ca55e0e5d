"""Ctrl-C, and a termination as another Ctrl-C: the first one counts, and what it sets off is not interrupted again."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["interruptible", "shielded"]


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in what runs within, once, for Ctrl-C and for a termination (`kill`, a batch system).

    Enter it after Ray has started: Ray sets a handler for terminations, which exits at once.
    """

    def once(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled(once, signal.SIGINT, signal.SIGTERM):
        yield


@contextmanager
def shielded() -> Iterator[None]:
    """Ignore Ctrl-C in what runs within. For seconds only: to shut Ray down half-way leaves its processes behind."""
    with _handled(signal.SIG_IGN, signal.SIGINT):
        yield


@contextmanager
def _handled(handler: Any, *numbers: signal.Signals) -> Iterator[None]:
    try:
        before = [(number, signal.signal(number, handler)) for number in numbers]
    except ValueError:  # Not in the main thread: nobody sends signals here.
        before = []
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)
