"""Stacked seeds as Ray runs them: in one Tune actor, in the place of a trial."""

import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Any

from wsnet.storage import LeaseLost, StorageLost, patient
from wsnet.storage.stops import hold_back, mark_stopped
from wsnet.storage.trial_directory import Record
from wsnet.sweep.stacks import STACKED, Stack
from wsnet.sweep.trials.context import SweepContext, prepare_trial
from wsnet.sweep.trials.failure import explained, forget_failure, in_one_line, write_failure
from wsnet.sweep.trials.for_tune import for_tune
from wsnet.sweep.trials.stall import StallWatch
from wsnet.sweep.trials.trial_log import logged

__all__ = ["train_stack"]


def train_stack(stack: Stack, context: SweepContext, tell: Callable[[dict[str, Any]], None]) -> None:
    """Train the trials of a stack in their directories.

    The first one's has `log.txt`, with the output of all; after a crash each has its traceback in `error.txt`.

    Args:
        stack: the seeds.
        context: the sweep that they belong to.
        tell: called with each epoch's metrics for Tune.
    """
    from wsnet.training.fit_stacked import fit_stacked

    held = {trial_id for trial_id in stack.trial_ids if context.is_stopped_by_user(trial_id)}
    for trial_id in held:
        hold_back(context.directory(trial_id))
    directories = {trial_id: context.directory(trial_id) for trial_id in stack.trial_ids if trial_id not in held}
    if not directories:
        return
    folder = next(iter(directories.values())).folder
    watch = StallWatch(context.stall_timeout, folder)
    with patient(context.storage_patience), logged(folder), watch:
        try:
            for directory in directories.values():
                forget_failure(directory)

            def report(records: Mapping[str, Record]) -> Collection[str]:
                told = {trial_id: for_tune(trial_id, record) for trial_id, record in records.items()}
                with watch.suspended():
                    tell({"epoch": max(record["epoch"] for record in told.values()), STACKED: told})
                return [
                    trial_id
                    for trial_id in records
                    if context.is_stopped_by_user(trial_id) and mark_stopped(directories[trial_id])
                ]

            fit_stacked(
                prepare_trial(next(iter(directories)), context).stacked(stack.seeds),
                report=report,
                checkpoint_dirs={trial_id: directory.folder for trial_id, directory in directories.items()},
                watch=watch.step if context.stall_timeout else None,
                on_start=watch.start,
            )
        except (LeaseLost, StorageLost):
            raise
        except Exception as error:
            for directory in directories.values():
                status = directory.status()
                if status is None or not status.has_ended:
                    write_failure(directory, *explained(directory, traceback.format_exc(), in_one_line(error)))
            if not isinstance(error, ValueError):
                raise
            # The setting cannot be trained, and a retry would fail again. Raising would make Tune retry it.
