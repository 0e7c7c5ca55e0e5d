"""How a trial's failure is written down: its traceback in `error.txt`, and one line in its status.

A trial that runs out of memory fails alone; where Ray kills it for that, Tune would end the whole sweep. It is not
restarted among its neighbours either, where it would run out of memory again, on the machine or on a GPU that they
share: `run` retries it alone.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wsnet.storage import Status, TrialDirectory
from wsnet.sweep.trials.late_node import lacking_node
from wsnet.sweep.trials.stall import STALLED, stall_reason

__all__ = ["error_of", "explained", "failing_alone", "forget_failure", "in_one_line", "out_of_memory", "write_failure"]

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
    return (f"{kind.rpartition('.')[2]}{colon}{text}" if colon else last)[:_LONGEST]


_MOVES = 20
"""How often a trial is moved from nodes that lack something; each is reserved after the first time."""

_SIGN = "out of memory: "

_ON_GPU = r"CUDA out of memory\. Tried to allocate ([0-9.]+ \w+)|CUDA error: out of memory"
"""What torch says, with the size of the allocation that failed."""


@contextmanager
def failing_alone() -> Iterator[None]:
    """Within the context, Tune takes a trial that ran out of memory as failed, and does not restart it.

    One that came to a node that lacks something is started again, without counting that as a failure.

    Tune's actor manager knows errors of an actor and errors of a task. Ray's OutOfMemoryError is neither, and Tune
    raises it, which ends the sweep.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError
    from ray.tune.experiment import Trial

    failed, should_recover = RayActorManager._actor_task_failed, Trial.should_recover

    def as_death(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=f"{_SIGN}{_used(str(exception))}\n{exception}")
        failed(manager, tracked_actor_task, exception)

    moved: Counter[str] = Counter()

    def elsewhere_or_again(trial: Any) -> bool:
        error = error_of(trial)
        if lacking_node(error) is not None and moved[trial.trial_id] < _MOVES:
            moved[trial.trial_id] += 1
            trial.run_metadata.num_failures -= 1  # The trial itself has not failed.
            return True
        return bool(should_recover(trial)) and out_of_memory(error) is None

    RayActorManager._actor_task_failed, Trial.should_recover = as_death, elsewhere_or_again
    try:
        yield
    finally:
        RayActorManager._actor_task_failed, Trial.should_recover = failed, should_recover


def error_of(trial: Any) -> str:
    """What Tune knows about a trial's crash; empty if nothing."""
    return Path(trial.error_file).read_text(encoding="utf-8", errors="replace") if trial.error_file else ""


def out_of_memory(error: str) -> str | None:
    """The line that says so, if a trial's error or message is that of one that ran out of memory; else None."""
    if found := re.search(_ON_GPU, error):
        return _SIGN + (f"{found[1]} more than the GPU has" if found[1] else "the GPU has none left")
    if found := re.search(f"{_SIGN}.*", error):
        return found[0]
    return f"{_SIGN}{_used(error)}" if "running low on memory" in error else None


def _used(error: str) -> str:
    """What the largest of the processes that Ray killed used, from Ray's message."""
    used = [float(number) for number in re.findall(r"Selected to kill.*?actual memory used=([0-9.]+)GB", error)]
    return f"{max(used):g} GB in one process" if used else "see error.txt"
