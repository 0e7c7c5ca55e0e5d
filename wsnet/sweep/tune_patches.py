"""What is changed of Ray Tune while a sweep runs, besides what `failing_alone` and `named_tasks` change."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["ending_trials", "in_any_worker", "without_history", "without_lost_resources", "without_telemetry"]

_RESERVED_WITHIN = 0.05
"""Seconds within which Ray reserves resources that are free: usually 5 ms."""


@contextmanager
def ending_trials() -> Iterator[None]:
    """Within the context, an interruption also ends the processes of Tune's trials and frees the CPUs that they hold.

    Tune leaves them to the end of Ray; but Ray may go on, for the next sweep of the same process.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager

    initialize, managers = RayActorManager.__init__, []

    def noted(manager: Any, *arguments: Any, **options: Any) -> None:
        managers.append(manager)
        initialize(manager, *arguments, **options)

    RayActorManager.__init__ = noted
    try:
        yield
    except KeyboardInterrupt:
        for manager in [*managers]:
            with suppress(Exception):  # Ray itself may have ended.
                manager.cleanup()
        raise
    finally:
        RayActorManager.__init__ = initialize


@contextmanager
def without_lost_resources() -> Iterator[None]:
    """Within the context, a reservation that Tune no longer needs is not cancelled while Ray makes it.

    Now and then Ray would lose its CPUs and GPUs for as long as it runs
    (https://github.com/ray-project/ray/issues/64693). Tune makes one whenever a trial is started before the process
    that it takes over is free, and cancels it milliseconds later.
    """
    import ray
    from ray.air.execution.resources.placement_group import PlacementGroupResourceManager

    cancel = PlacementGroupResourceManager.cancel_resource_request

    def cancel_once_made(manager: Any, resource_request: Any) -> None:
        made = [manager._pg_to_staging_future[group] for group in manager._request_to_staged_pgs[resource_request]]
        if made:
            ray.wait(made, num_returns=len(made), timeout=_RESERVED_WITHIN)
        cancel(manager, resource_request)

    PlacementGroupResourceManager.cancel_resource_request = cancel_once_made
    try:
        yield
    finally:
        PlacementGroupResourceManager.cancel_resource_request = cancel


@contextmanager
def in_any_worker() -> Iterator[None]:
    """Within the context, trials run in any worker process of Ray's, such as one that has been started ahead.

    Tune demands processes with some of the driver's environment variables. For a Ray that the driver has started, that
    is all of them: its processes have the driver's environment.
    """
    import ray
    from ray.tune.execution.class_cache import _ActorClassCache

    get = _ActorClassCache.get

    def get_plain(cache: Any, trainable: Any) -> Any:
        if trainable not in cache._cache:
            cache._cache[trainable] = ray.remote(trainable)
        return cache._cache[trainable]

    _ActorClassCache.get = get_plain
    try:
        yield
    finally:
        _ActorClassCache.get = get


@contextmanager
def without_history() -> Iterator[None]:
    """Within the context, Tune ends without a summary of all trials, which nothing reads: 15 MB for 1,000 of them.

    Its own state, which resuming does not need, is written when it starts, and not again at the end; and it does not
    look for the trials' logs, which are not there.
    """
    from ray.tune.analysis import ExperimentAnalysis
    from ray.tune.execution.tune_controller import TuneController

    checkpoint, fetch = TuneController.checkpoint, ExperimentAnalysis._fetch_trial_dataframes
    TuneController.checkpoint = lambda controller, force=False, wait=False: checkpoint(controller)
    ExperimentAnalysis._fetch_trial_dataframes = lambda analysis: {}
    try:
        yield
    finally:
        TuneController.checkpoint, ExperimentAnalysis._fetch_trial_dataframes = checkpoint, fetch


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Within the context, Tune does not count which callbacks are used, for which it would import MLflow: 1.5 s."""
    from ray.air._internal import usage

    tag = usage.tag_callbacks
    usage.tag_callbacks = lambda callbacks: False
    try:
        yield
    finally:
        usage.tag_callbacks = tag
