"""`fit`: the training of one trial, from wherever it is to its end."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from wsnet.config.trial import TrainConfig
from wsnet.distributed import rank_and_world, wait_for_all
from wsnet.storage import Folder, Status, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint, CheckpointError
from wsnet.training.execution import applied
from wsnet.training.loop import StepCallback, Training
from wsnet.training.trial import Trial
from wsnet.training.trial_files import TrialWriter, as_executed_before, check_owner, write_start

__all__ = ["EpochCallback", "Result", "ending", "fit"]

EpochCallback = Callable[[Record], None]
"""Told of each epoch once it is safe in the trial's directory; of the last one, once the status is final too."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a trial ended.

    Attributes:
        status: finished or diverged, and after how many epochs.
        records: one record for each epoch, whether trained now or before.
    """

    status: Status
    records: list[Record]


def fit(
    trial: Trial,
    *,
    report: EpochCallback,
    checkpoint_dir: Folder,
    watch: StepCallback | None = None,
    start: Checkpoint | None = None,
    resumed: EpochCallback | None = None,
) -> Result:
    """Train a trial to its end, from wherever it is.

    The same numbers come out to the last bit however it is run: at once, or killed at any point and run again. With a
    process group set up, every worker calls this; rank 0 writes, every rank reports.

    Args:
        trial: what to train.
        report: told of each epoch that is trained now. It may raise to stop; what it was told of is not lost.
        checkpoint_dir: the trial's directory. What lies there is looked up first: a finished trial returns at once, an
            unfinished one goes on from its last checkpoint, as it was executed before. Locked meanwhile.
        watch: told of each step.
        start: a checkpoint to begin from where the directory holds none.
        resumed: told again of the last epoch done where the trial goes on, before it does; may raise as `report` may.

    Returns:
        How it ended.

    Raises:
        TrialError: the trial can not be trained as configured, or the directory is another trial's.
        CheckpointError: `start` is of another model or optimizer, or leaves no epoch to train.
        ModelError: the model can not be built.
    """
    directory = TrialDirectory(checkpoint_dir)
    leader = rank_and_world()[0] == 0
    with checkpoint_dir.lock() if leader else nullcontext():
        wait_for_all()  # No worker reads before the leader has the lock ...
        check_owner(trial, directory)
        status = directory.status()
        if status is not None and status.is_final:
            return Result(status=status, records=directory.records())
        checkpoint = Checkpoint.latest(checkpoint_dir, rank_and_world()[1]) or _checked(start, trial)
        wait_for_all()  # ... nor does the leader write before all have read.
        if leader:
            write_start(trial, directory)
        wait_for_all()
        trial = as_executed_before(trial, directory)
        with applied(trial.config):
            training = Training(trial, checkpoint)
            records = list(checkpoint.records) if checkpoint else []
            return _train(training, records, directory if leader else None, report, watch, resumed)


def _train(
    training: Training,
    records: list[Record],
    directory: TrialDirectory | None,
    report: EpochCallback,
    watch: StepCallback | None,
    resumed: EpochCallback | None,
) -> Result:
    """Epoch by epoch: train, evaluate, write down, report. Only the leader has a directory."""
    status = ending(training.config.train, records)
    with TrialWriter(training, directory, records, status) if directory else nullcontext() as writer:
        if records and status is None and resumed is not None:
            resumed(dict(records[-1]))
        while status is None:
            record = training.train_epoch(watch, writer.write_step if writer is not None else None)
            records.append(record)
            status = ending(training.config.train, records)
            if writer is not None:
                writer.write(record, status)
            wait_for_all()
            report(dict(record))
    return Result(status=status, records=records)


def ending(train: TrainConfig, records: list[Record]) -> Status | None:
    """How a trial has ended; None while it has not.

    It depends on what is done alone, so that a resumed trial ends where it would have ended.

    Args:
        train: the trial's epochs and limits.
        records: one record for each epoch done.
    """
    epoch, loss = (int(records[-1]["epoch"]), records[-1]["train/loss"]) if records else (0, 0.0)
    if not math.isfinite(loss):
        message = f"the training loss became {loss} in epoch {epoch}"
        return Status(status="diverged", epoch=epoch, message=message)
    stop = train.stop_above
    if records and stop is not None and epoch >= stop.after and loss > stop.loss:
        message = f"the training loss is {loss:.6g} in epoch {epoch}, above train.stop_above.loss={stop.loss:g}"
        return Status(status="diverged", epoch=epoch, message=message)
    if epoch >= train.epochs:
        return Status(status="finished", epoch=epoch)
    return None


def _checked(start: Checkpoint | None, trial: Trial) -> Checkpoint | None:
    """The checkpoint to begin from, which must be of a whole epoch and leave one to train."""
    epochs = trial.config.train.epochs
    if start is not None and start.step:
        raise CheckpointError(f"a checkpoint to begin from must be of a whole epoch, but got one at step {start.step}")
    if start is not None and start.epoch >= epochs and start.trial_id != trial.trial_id:
        raise CheckpointError(
            "a checkpoint to begin from must leave an epoch to train, "
            f"but got one after epoch {start.epoch} with train.epochs={epochs}; raise train.epochs"
        )
    return start
