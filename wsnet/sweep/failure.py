"""How a trial's failure is written down: its traceback in `error.txt`, and one line in its status."""

from wsnet.storage import Status, TrialDirectory
from wsnet.sweep.out_of_memory import out_of_memory
from wsnet.sweep.stall import STALLED, stall_reason

__all__ = ["explained", "forget_failure", "in_one_line", "write_failure"]

_LONGEST = 1000
"""Characters of the line; a message may hold a whole tensor."""


def write_failure(directory: TrialDirectory, error: str, message: str) -> None:
    """Record that a trial failed.

    Args:
        directory: the trial's directory.
        error: the traceback.
        message: the reason, in one line.
    """
    directory.folder.write("error.txt", error.encode(errors="backslashreplace"))
    directory.write_status(Status(status="failed", epoch=len(directory.records()), message=message))


def explained(directory: TrialDirectory, error: str, message: str) -> tuple[str, str]:
    """The traceback and the reason of a crash; of a trial that stalled, what it was doing comes first."""
    stalled = stall_reason(directory.folder)
    return (error, message) if stalled is None else (f"{stalled[1]}\n\n{error}", stalled[0])


def forget_failure(directory: TrialDirectory) -> None:
    """Delete what an earlier start of the trial left; the log keeps why that ended, if the trial stalled."""
    if (stalled := stall_reason(directory.folder)) is not None:
        print(f"started again after {stalled[1]}")
    for name in ("error.txt", STALLED):
        directory.folder.delete(name)


def in_one_line(error: Exception) -> str:
    """The error in one line. Train ends the leader as soon as another worker fails, often before it wrote a status."""
    failures = getattr(error, "worker_failures", {})
    if not failures:
        if (memory := out_of_memory(f"{error}")) is not None:
            return memory
        return f"{type(error).__name__}: {error}".splitlines()[0][:_LONGEST]
    if (memory := next(filter(None, (out_of_memory(str(failure)) for failure in failures.values())), None)) is not None:
        return memory
    last = str(failures[min(failures)]).strip().splitlines()[-1]  # Train gives the traceback of the worker as text.
    kind, colon, text = last.partition(": ")
    return f"{kind.rpartition('.')[2]}{colon}{text}"[:_LONGEST]
