"""`fit`: the training of one trial, from wherever it is to its end."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from wsnet.config.source import dump_yaml
from wsnet.storage import Folder, Status, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint
from wsnet.training.distributed import rank_and_world, wait_for_all
from wsnet.training.execution import applied, execution_record
from wsnet.training.history import History
from wsnet.training.keeper import Keeper
from wsnet.training.loop import Training, Watch
from wsnet.training.trial import Trial

__all__ = ["Report", "Result", "fit"]

Report = Callable[[Record], None]
"""Told of each epoch once it is safe in the trial's directory."""


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
    report: Report,
    checkpoint_dir: Folder,
    watch: Watch | None = None,
    start: Checkpoint | None = None,
) -> Result:
    """Train a trial to its end, from wherever it is.

    The same numbers come out to the last bit however it is run: at once, or killed at any point and run again. With a process
    group set up, every worker calls this; rank 0 writes, every rank reports.

    Args:
        trial: what to train.
        report: told of each epoch.
        checkpoint_dir: the trial's directory. What lies there is looked up first: a finished trial returns at once, an unfinished
            one goes on from its last checkpoint, as it was executed before. The directory is locked meanwhile.
        watch: told of each step.
        start: a checkpoint to begin from where the directory holds none.

    Returns:
        How it ended.

    Raises:
        ValueError: the model can not be built, or `start` is of another one.
    """
    directory = TrialDirectory(checkpoint_dir)
    leader = rank_and_world()[0] == 0
    with checkpoint_dir.lock() if leader else nullcontext():
        wait_for_all()
        status = directory.status()
        if status is not None and status.is_final:
            return Result(status=status, records=directory.records())
        trial = _as_executed_before(trial, directory)
        checkpoint = Checkpoint.read(checkpoint_dir, "last.pt") or start
        wait_for_all()  # Every worker has read the directory before rank 0 writes to it.
        with applied(trial.config):
            return _train(Training(trial, checkpoint), checkpoint, directory if leader else None, report, watch)


def _train(
    training: Training,
    checkpoint: Checkpoint | None,
    directory: TrialDirectory | None,
    report: Report,
    watch: Watch | None,
) -> Result:
    """Epoch by epoch: train, evaluate, write down, report. Only the leader has a directory."""
    config = training.config
    records = list(checkpoint.records) if checkpoint else []
    writer = _Writer(training, directory, records) if directory else None
    status = Status(status="finished", epoch=config.train.epochs)
    while training.epoch < config.train.epochs:
        record = training.train_epoch(watch)
        records.append(record)
        if writer is not None:
            writer.write(record)
        wait_for_all()
        report(record)
        if not math.isfinite(record["train/loss"]):
            loss, epoch = record["train/loss"], training.epoch
            status = Status(status="diverged", epoch=epoch, message=f"the training loss became {loss} in epoch {epoch}")
            break
    if writer is not None:
        writer.finish(status)
    return Result(status=status, records=records)


class _Writer:
    """Everything that the leader writes into the trial's directory."""

    def __init__(self, training: Training, directory: TrialDirectory, records: list[Record]) -> None:
        self._training, self._directory, self._records = training, directory, records
        config = training.config
        directory.folder.write("trial.yaml", dump_yaml(config.model_dump(mode="json")).encode())
        directory.write_status(Status(status="running", epoch=training.epoch))
        self._keeper = Keeper(directory.folder, config.train.keep, records)
        self._history = History(directory, records, tensorboard=config.train.tensorboard)

    def write(self, record: Record) -> None:
        self._history.add(record)
        self._keeper.save(self._training.checkpoint(self._records), record)

    def finish(self, status: Status) -> None:
        self._directory.write_status(status)
        self._keeper.finish()


def _as_executed_before(trial: Trial, directory: TrialDirectory) -> Trial:
    """A trial that was started keeps its threads, layout and device: with others its bits would change half-way."""
    before = directory.execution()
    if before is None or not _is_available(before["device"]):
        if rank_and_world()[0] == 0:
            directory.write_execution(execution_record(trial.config, workers=trial.workers))
        return trial
    kept = {key: before[key] for key in ("threads", "memory_format", "compile")}
    device = trial.config.execution.device if rank_and_world()[1] > 1 else before["device"]
    execution = trial.config.execution.model_copy(update={**kept, "device": device})
    return trial.executed(execution)


def _is_available(device: str) -> bool:
    if torch.device(device).type != "cuda":
        return True
    return torch.cuda.is_available() and (torch.device(device).index or 0) < torch.cuda.device_count()
