"""`fit`: train one trial to its end, from the start or from where it was interrupted."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from wsnet.config.trial import TrainConfig
from wsnet.distributed import rank_and_world, wait_for_all
from wsnet.storage import Folder, Lease, Status, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint, CheckpointError
from wsnet.training.execution import applied
from wsnet.training.loop import StepCallback, Training
from wsnet.training.trial import Trial
from wsnet.training.trial_files import TrialWriter, as_executed_before, check_owner, check_stack, write_start

__all__ = ["EpochCallback", "Result", "ending", "fit"]

EpochCallback = Callable[[Record], None]
"""Called with a copy of an epoch's record, once that is saved in the trial's directory; of the last epoch, once the
status is saved too. It may raise to stop the training: the epoch remains saved."""


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
    on_resume: EpochCallback | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> Result:
    """Train a trial to its end, from the start or from where it was interrupted.

    The results are the same to the last bit whether it runs in one go or is killed at any point and run again. With a
    process group set up, every worker calls this; rank 0 writes, every rank reports.

    Args:
        trial: what to train.
        report: called after each epoch trained by this call.
        checkpoint_dir: the trial's directory, whose lease this call waits for and holds. If the trial has already
            ended, the call returns at once. An unfinished one resumes from its last checkpoint, with the execution
            options that it was started with.
        watch: called after each step.
        start: a checkpoint to start from if the directory holds none.
        on_resume: called with the last completed epoch before a trial resumes.
        on_start: called once the directory is locked by this call, which may have to wait for that.

    Returns:
        How it ended.

    Raises:
        TrialError: the trial cannot be trained as configured, or the directory is another trial's.
        CheckpointError: `start` is of another model or optimizer, or leaves no epoch to train.
        ModelError: the model cannot be built.
        LeaseLost: another process has taken the directory over; it trains the trial from here.
    """
    directory = TrialDirectory(checkpoint_dir)
    leader = rank_and_world()[0] == 0
    # Every worker waits until the leader has the lease and has set aside what is damaged before it reads the directory;
    # the leader waits until every worker has read it before it writes; and every worker waits until that is written
    # before it reads it.
    with checkpoint_dir.lease() if leader else nullcontext() as lease:
        if leader:
            directory.set_aside_damaged()
        wait_for_all()
        on_start()
        check_owner(trial, directory)
        status = directory.status()
        records = directory.records()
        if status is not None and status.is_final and not status.lacks_records(records):
            return Result(status=status, records=records)
        check_stack(trial, directory)
        checkpoint = _latest_checkpoint(directory) or _check_start(start, trial)
        wait_for_all()
        if leader:
            write_start(trial, directory)
        wait_for_all()
        trial = as_executed_before(trial, directory)
        with applied(trial.config):
            training = Training(trial, checkpoint)
            records = list(checkpoint.records) if checkpoint else []
            return _train(training, records, directory if leader else None, lease, report, watch, on_resume)


def _train(
    training: Training,
    records: list[Record],
    directory: TrialDirectory | None,
    lease: Lease | None,
    report: EpochCallback,
    watch: StepCallback | None,
    on_resume: EpochCallback | None,
) -> Result:
    """Epoch by epoch: train, evaluate, save, report. Only the leader has a directory, and its lease."""
    status = ending(training.config.train, records)
    with TrialWriter(training, directory, records, status) if directory else nullcontext() as writer:
        if records and status is None and on_resume is not None:
            on_resume(dict(records[-1]))
        while status is None:
            record = training.train_epoch(watch, writer.write_step if writer is not None else None)
            records.append(record)
            status = ending(training.config.train, records)
            if writer is not None and lease is not None:
                lease.check()
                writer.write(record, status)
            wait_for_all()
            report(dict(record))
    return Result(status=status, records=records)


def ending(train: TrainConfig, records: list[Record]) -> Status | None:
    """How a trial ended; None while it has not.

    It depends only on the completed epochs, so that a resumed trial ends where an uninterrupted one would.

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


def _check_start(start: Checkpoint | None, trial: Trial) -> Checkpoint | None:
    """Check the checkpoint to start from, and return it.

    It must be of a whole epoch. Another trial's must leave at least one epoch to train.
    """
    epochs = trial.config.train.epochs
    if start is not None and start.step:
        raise CheckpointError(f"a checkpoint to start from must be of a whole epoch, but got one at step {start.step}")
    if start is not None and start.epoch >= epochs and start.trial_id != trial.trial_id:
        raise CheckpointError(
            "a checkpoint to start from must leave an epoch to train, "
            f"but got one after epoch {start.epoch} with train.epochs={epochs}; raise train.epochs"
        )
    return start


def _latest_checkpoint(directory: TrialDirectory) -> Checkpoint | None:
    """The checkpoint to resume from. The leader reads first, and sets aside what is damaged."""
    rank, world = rank_and_world()
    checkpoint = Checkpoint.latest(directory, world) if rank == 0 else None
    wait_for_all()
    return checkpoint if rank == 0 else Checkpoint.latest(directory, world)
