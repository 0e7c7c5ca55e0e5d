"""A trial that Ray kills because the machine runs out of memory fails alone: Tune would end the whole sweep."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["failing_alone", "out_of_memory"]

_SIGN = "out of memory: "


@contextmanager
def failing_alone() -> Iterator[None]:
    """Within the context, Tune takes a trial that Ray killed for its memory like any other whose process died.

    Tune's actor manager knows errors of an actor and errors of a task. Ray's OutOfMemoryError is neither, and Tune
    raises it, which ends the sweep.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError

    failed = RayActorManager._actor_task_failed

    def as_death(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=f"{_SIGN}{_used(str(exception))}\n{exception}")
        failed(manager, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = as_death
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = failed


def out_of_memory(error: str) -> str | None:
    """The line that says so, if a trial's error is that of `failing_alone`; otherwise None."""
    found = re.search(f"{_SIGN}.*", error)
    return found[0] if found else None


def _used(error: str) -> str:
    """What the largest of the processes that Ray killed used, from Ray's message."""
    used = [float(number) for number in re.findall(r"Selected to kill.*?actual memory used=([0-9.]+)GB", error)]
    return f"{max(used):g} GB in one process" if used else "see error.txt"
