"""A trial as Ray runs it: inside a Tune actor, or on several workers of a TorchTrainer."""

import contextlib
import os
import time
import traceback
import uuid
from collections.abc import Callable
from typing import Any

from wsnet.distributed import gather_objects
from wsnet.storage import LeaseLost, StorageLost, patient
from wsnet.storage.stops import hold_back, mark_stopped
from wsnet.storage.trial_directory import Record
from wsnet.sweep.cluster.node_checks import check_here
from wsnet.sweep.trials.context import SweepContext, prepare_trial
from wsnet.sweep.trials.failure import explained, forget_failure, in_one_line, write_failure
from wsnet.sweep.trials.for_tune import for_tune
from wsnet.sweep.trials.stall import StallWatch
from wsnet.sweep.trials.train_stack import train_stack
from wsnet.sweep.trials.trial_log import logged

__all__ = ["train_and_log", "train_job", "train_on_workers"]

_POLL_SECONDS = 0.1
"""Time between two reads of the journal of verdicts."""


# Ray's dashboard shows the names of the two functions that follow.
def train_job(config: dict[str, Any], *, context: SweepContext) -> None:
    """The Tune function of a trial with one worker."""
    from ray import tune

    check_here(context)
    stack = context.stacks.get(config["trial_id"])
    if stack is not None:
        train_stack(stack, context, tune.report)
        return
    if _is_held_back(config["trial_id"], context):
        return
    try:
        with contextlib.suppress(_Stopped):
            train_and_log(config["trial_id"], context, tune.report)
    except ValueError:
        # The setting cannot be trained, and a retry would fail again. Raising would make Tune retry it.
        status = context.directory(config["trial_id"]).status()
        if status is None or status.status != "failed":
            raise  # The failure could not be written down either.


def train_on_workers(config: dict[str, Any], *, context: SweepContext) -> None:
    """The Tune function of a trial with several workers. It only starts them, and must not hold a CPU they need."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    check_here(context)
    trial_id = config["trial_id"]
    if _is_held_back(trial_id, context):
        return
    _tell_the_address()
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"trial_id": trial_id, "context": context.of(trial_id)},
        scaling_config=ScalingConfig(
            num_workers=context.workers,
            use_gpu=context.gpus > 0,
            resources_per_worker={"CPU": context.cpus, **({"GPU": context.gpus} if context.gpus else {})},
        ),
        run_config=RunConfig(
            name=f"{trial_id}-{uuid.uuid4().hex[:8]}",  # New every time: Train must not resume from its own state.
            storage_path=context.scratch,  # Checkpoints are in the trial's own directory.
            failure_config=FailureConfig(max_failures=context.max_failures),
            callbacks=[TuneReportCallback()],
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        # Tune takes away the workers of a trial that it stops or pauses, whether or not they have ended by then.
        if _is_stopped(context, trial_id):
            return
        if context.pauses and _is_waiting(context, trial_id):
            raise  # If the trial has really failed, Tune tries it again.
        # Train has used up its restarts. Raising here would make Tune start over.
        directory = context.directory(trial_id)
        status = directory.status()
        if status is None or status.status != "failed":
            write_failure(directory, *explained(directory, traceback.format_exc(), in_one_line(error)))


def _tell_the_address() -> None:
    """Have Ray Train pass the cluster's address to its processes, in the environment.

    One of them frees what the workers of a trial hold once its controller is gone. Without the address it looks for
    Ray's processes on the machine, and where there are two clusters finds none, or the wrong one.
    """
    import ray
    from ray.train.v2._internal.constants import ENV_VARS_TO_PROPAGATE

    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    ENV_VARS_TO_PROPAGATE.add("RAY_ADDRESS")


def _worker(config: dict[str, Any]) -> None:
    """What each worker of a TorchTrainer runs."""
    import ray.train

    context: SweepContext = config["context"]
    check_here(context)
    if context.gpus:
        import torch

        torch.cuda.set_device(ray.train.torch.get_device())
    trial_id = config["trial_id"]

    def tell(metrics: dict[str, Any]) -> None:
        ray.train.report(metrics)
        if metrics["epoch"] in context.rungs.get(trial_id, ()):
            _await_verdict(context, trial_id, metrics["epoch"])

    with contextlib.suppress(_Stopped):
        train_and_log(trial_id, context, tell, leader=ray.train.get_context().get_world_rank() == 0)


def train_and_log(
    trial_id: str, context: SweepContext, tell: Callable[[dict[str, Any]], None], *, leader: bool = True
) -> None:
    """Train a trial in its directory, with its output in `log.txt` there and the traceback of a crash in `error.txt`.

    Args:
        trial_id: which trial.
        context: the sweep that it belongs to.
        tell: called with each epoch's metrics for Tune.
        leader: whether this worker writes files.

    Raises:
        _Stopped: the user stopped the trial.
    """
    from wsnet.training import fit

    directory = context.directory(trial_id)
    watch = StallWatch(context.stall_timeout, directory.folder)
    with patient(context.storage_patience), logged(directory.folder if leader else None), watch:
        try:
            if leader:
                forget_failure(directory)
            trial = prepare_trial(trial_id, context)

            def report(record: Record) -> None:
                with watch.suspended():
                    tell(for_tune(trial_id, record))
                # The leader decides for all workers: they must stop after the same epoch.
                if gather_objects(leader and context.is_stopped_by_user(trial_id) and mark_stopped(directory))[0]:
                    raise _Stopped

            # The scheduler may have missed the last epoch before a restart: it must decide on it before the next one.
            fit(
                trial,
                report=report,
                checkpoint_dir=directory.folder,
                watch=watch.step if context.stall_timeout else None,
                on_resume=report if context.rungs else None,
                on_start=watch.start,
            )
        except (LeaseLost, StorageLost):
            raise  # The directory is another process's now, and a retry waits for its end; or nothing can be written.
        except Exception as error:
            if leader:
                write_failure(directory, *explained(directory, traceback.format_exc(), in_one_line(error)))
            raise


class _Stopped(BaseException):
    """The scheduler or the user stopped the trial. Not an `Exception`, since nothing has failed."""


def _is_held_back(trial_id: str, context: SweepContext) -> bool:
    """Whether the user has stopped the trial before it could start, or start again."""
    if not context.is_stopped_by_user(trial_id):
        return False
    hold_back(context.directory(trial_id))
    return True


def _await_verdict(context: SweepContext, trial_id: str, rung: int) -> None:
    """Wait for the verdict at a rung: Train, unlike Tune, lets workers continue while the scheduler decides.

    Raises:
        _Stopped: the trial must stop; raised on each of its workers.
    """
    status = context.directory(trial_id).status()
    if status is not None and status.status in ("finished", "diverged"):
        return
    journal = context.journal()
    while (verdict := journal.verdict(trial_id, rung)) is None:
        time.sleep(_POLL_SECONDS)
        journal.refresh()
    if verdict.verdict == "stop":
        raise _Stopped


def _is_stopped(context: SweepContext, trial_id: str) -> bool:
    rung = context.journal().stops().get(trial_id)
    return rung is not None and rung <= len(context.directory(trial_id).records())


def _is_waiting(context: SweepContext, trial_id: str) -> bool:
    """Whether a trial is at a rung without a verdict."""
    epoch = len(context.directory(trial_id).records())
    return epoch in context.rungs.get(trial_id, ()) and context.journal().verdict(trial_id, epoch) is None
