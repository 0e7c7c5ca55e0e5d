"""Ctrl-C and SIGTERM: the first one ends a sweep in good order, the second one at once."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["Interruption", "deferred", "heeded", "interruptible", "scratch_folder", "shielded"]


@dataclass
class Interruption:
    """The signal that has ended a sweep, if any.

    Attributes:
        status: exit status for it, by the convention of shells: 130 for SIGINT, 143 for SIGTERM.
    """

    status: int = 128 + signal.SIGINT


_first: list[int] = []
"""The first signal since the outermost `interruptible` context was entered, if there was one."""

_contexts: list[Interruption] = []
"""The `interruptible` contexts that are open."""

_raised: SimpleQueue[int | None] = SimpleQueue()
"""Tells the thread that reminds of a signal, and that it was handled (None). Unlike others, safe in a handler."""

_pending: list[int] = []
"""The signal for which a KeyboardInterrupt is on its way, until that has been handled."""

_sent_again: list[int] = []
"""The signal that reminds of it, until its handler runs."""

_PATIENCE = 1.0
"""Seconds until a KeyboardInterrupt that has been lost is raised again."""

_scratch: set[str] = set()
"""Temporary folders in use: ending at once leaves no time for their owners to remove them."""


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Within the context, raise KeyboardInterrupt, once, on SIGINT (Ctrl-C) or SIGTERM (`kill`, a batch system).

    A second signal ends the process at once, with all that it has started. Also where SIGINT was ignored, as it is in a
    shell's background jobs. Gives what tells the two signals apart: Ray raises a KeyboardInterrupt of its own in place
    of the handler's.

    Python drops an exception that a handler raises in a destructor or in a callback of a C library, such as while a
    module is loaded. The KeyboardInterrupt is raised again until it leaves the context or `heeded` is called.
    """
    interruption = Interruption()
    is_outermost = not _contexts
    if is_outermost:
        _first.clear()
    _contexts.append(interruption)
    try:
        with _handled(_interrupt, signal.SIGINT, signal.SIGTERM), _reminding() if is_outermost else nullcontext():
            yield interruption
    finally:
        heeded()
        _contexts.pop()


def heeded() -> None:
    """Call this where a KeyboardInterrupt is handled, rather than passed on, so that it is not raised again."""
    _pending.clear()
    _raised.put(None)


def _interrupt(number: int, _: object) -> None:
    if not _is_sent_again():
        _end_at_second(number)
        _contexts[-1].status = 128 + number
        _pending.append(number)
        _raised.put(number)
    elif not _pending or _is_passing():
        return
    raise KeyboardInterrupt


def _is_sent_again() -> bool:
    """Whether the signal being handled is an earlier one, sent again."""
    found = bool(_sent_again)
    _sent_again.clear()
    return found


def _is_passing() -> bool:
    """Whether a KeyboardInterrupt is on its way: what runs are `finally` clauses and the like."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


@contextmanager
def _reminding() -> Iterator[None]:
    """Within the context, send SIGINT while the KeyboardInterrupt for a signal has not been handled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()

    def remind() -> None:
        number = None
        while not over.is_set():
            try:
                number = _raised.get(timeout=None if number is None else _PATIENCE)
            except Empty:
                if signal.getsignal(signal.SIGINT) is _interrupt and not over.is_set():
                    _sent_again.append(signal.SIGINT)  # Ray resets SIGTERM, unknown to Python, when it shuts down.
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=remind, name="wsnet-signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        heeded()
        over.set()
        _raised.put(None)
        thread.join(_PATIENCE)


@contextmanager
def shielded() -> Iterator[None]:
    """Ignore a first Ctrl-C while Ray shuts down, which takes seconds: an interrupted shutdown leaves processes."""
    with _handled(lambda number, _: _end_at_second(number), signal.SIGINT):
        yield


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Within the context, only note SIGINT and SIGTERM; gives the function that handles afterwards what was noted.

    SIGTERM's handler cannot be replaced within the context: the one that Ray sets exits at once, without a word.
    """
    noted: list[int] = []
    set_handler = signal.signal

    def set_other_handler(number: int, handler: Any) -> Any:
        return signal.getsignal(number) if number == signal.SIGTERM else set_handler(number, handler)

    def note(number: int, _: object) -> None:
        if _is_sent_again():
            return
        if noted or _first:
            _end_at_once((_first or noted)[0])
        noted.append(number)

    def deliver() -> None:
        for number in noted[:1]:
            handler = signal.getsignal(number)
            if callable(handler):
                handler(number, None)

    with _handled(note, signal.SIGINT, signal.SIGTERM):
        signal.signal = set_other_handler  # type: ignore[assignment]
        try:
            yield deliver
        finally:
            signal.signal = set_handler


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A temporary folder that is removed at the end, also if the process is ended at once."""
    with tempfile.TemporaryDirectory(prefix="wsnet-", ignore_cleanup_errors=True) as folder:
        _scratch.add(folder)
        try:
            yield folder
        finally:
            _scratch.discard(folder)


def _end_at_second(number: int) -> None:
    """Note a signal; if it is not the first one, end at once."""
    if _is_sent_again():
        return
    if _first:
        _end_at_once(_first[0])
    _first.append(number)


def _end_at_once(number: int) -> None:
    """End this process and everything that it has started, Ray included."""
    shows_cursor = b"\x1b[?25h" if os.isatty(2) else b""  # A live display has hidden it.
    with suppress(OSError):
        os.write(2, shows_cursor + b"\nEnded at once. Run the same command to continue.\n")
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    try:
        stopped = _stop_descendants()
        for folder in _scratch:
            shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()
        # Ray ends this process, with status 1, once its raylet, a child of this process, is gone: children come last.
        children = {process for process, parent in _parents().items() if parent == os.getpid()}
        _send(stopped - children, signal.SIGKILL)
        _send(stopped & children, signal.SIGKILL)
    finally:
        os._exit(128 + number)


def _stop_descendants() -> set[int]:
    """Stop every process that this one has started, and theirs, so that none can start another."""
    stopped: set[int] = set()
    while new := _descendants() - stopped:
        _send(new, signal.SIGSTOP)
        stopped |= new
    return stopped


def _send(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(OSError):  # It has ended.
            os.kill(process, number)


def _descendants() -> set[int]:
    parents = _parents()
    found: set[int] = set()
    generation = {os.getpid()}
    while generation := {process for process, parent in parents.items() if parent in generation} - found:
        found |= generation
    return found


def _parents() -> dict[int, int]:
    """The parent of every process."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        return {int(process): int(parent) for process, parent in map(str.split, listed.splitlines())}
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # It has ended.
            # A command in the second field may have any characters; the parent is the second field after it.
            parents[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    return parents


@contextmanager
def _handled(handler: Any, *numbers: signal.Signals) -> Iterator[None]:
    try:
        before = [(number, signal.signal(number, handler)) for number in numbers]
    except ValueError:  # Only the main thread can set signal handlers.
        before = []
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)
