"""Ray's tasks carry the names of their trials: on its dashboard, in `ray list tasks`, in `ps` and `top`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["named_tasks"]


@contextmanager
def named_tasks(names: Mapping[str, str]) -> Iterator[None]:
    """Within the context, the tasks of Tune's actors are named `gn-g4-b8-s1 train` instead of `train_job.train`.

    An actor itself cannot carry a trial's name, since it trains one trial after the other. Tune has no option for
    the names of tasks.

    Args:
        names: short name of each trial, by trial_id.
    """
    from ray.tune.execution.tune_controller import TuneController

    schedule = TuneController._schedule_trial_task

    def schedule_named(controller: Any, trial: Any, method_name: str, *args: Any, **options: Any) -> Any:
        actors = controller._actor_manager._live_actors_to_ray_actors_resources
        tracked, name = controller._trial_to_actor[trial], names.get(trial.config.get("trial_id", ""))
        if name is None or tracked not in actors:
            return schedule(controller, trial, method_name, *args, **options)
        before = actors[tracked]
        actors[tracked] = (_Named(before[0], name), *before[1:])
        try:
            return schedule(controller, trial, method_name, *args, **options)
        finally:
            actors[tracked] = before

    TuneController._schedule_trial_task = schedule_named
    try:
        yield
    finally:
        TuneController._schedule_trial_task = schedule


class _Named:
    """An actor's handle whose methods are tasks with a name."""

    def __init__(self, actor: Any, name: str) -> None:
        self._actor, self._name = actor, name

    def __getattr__(self, method: str) -> Any:
        return getattr(self._actor, method).options(name=f"{self._name} {method}")
