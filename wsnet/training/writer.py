"""What rank 0 writes into a trial's directory, and whose directory it is."""

from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from wsnet.config.scaling import describe_scaling
from wsnet.config.source import dump_yaml
from wsnet.storage import Status, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint
from wsnet.training.distributed import rank_and_world
from wsnet.training.errors import TrialError
from wsnet.training.execution import execution_record, is_available
from wsnet.training.history import History
from wsnet.training.keeper import Keeper
from wsnet.training.loop import Training
from wsnet.training.own_source import with_its_source
from wsnet.training.trial import Trial

__all__ = ["Writer", "as_executed_before", "check_owner", "write_start"]

_OWNER = "# trial "
"""Begins trial.yaml, before the id of the trial whose directory this is."""


def check_owner(trial: Trial, directory: TrialDirectory) -> None:
    """Refuse a directory of another trial: its results would pass for this one's.

    Raises:
        TrialError: it is another trial's.
    """
    first = (directory.folder.read("trial.yaml") or b"").decode().partition("\n")[0]
    owner = first.removeprefix(_OWNER)
    if first.startswith(_OWNER) and owner != trial.trial_id:
        raise TrialError(
            f"{directory.folder.location} holds trial {owner}, but this is trial {trial.trial_id} "
            "(other options, images or starting checkpoint); give it a directory of its own"
        )


def write_start(trial: Trial, directory: TrialDirectory) -> None:
    """Write down, before the first step, what is trained and how; a trial that was started keeps how."""
    before = directory.execution()
    if before is None or not is_available(before["device"]):
        directory.write_execution(execution_record(trial.config, workers=trial.workers))
    config = with_its_source(as_executed_before(trial, directory).config, directory.folder)
    scaled = describe_scaling(config)
    note = f"# optim.scale_with_batch gives {scaled}\n" if scaled else ""
    text = f"{_OWNER}{trial.trial_id}\n{note}{dump_yaml(config.model_dump(mode='json'))}"
    directory.folder.write("trial.yaml", text.encode())


def as_executed_before(trial: Trial, directory: TrialDirectory) -> Trial:
    """The trial with the threads, layout and device of its execution record: others would change its bits half-way.

    A key that the record of an older version lacks is as configured. With several workers the record is rank 0's, and
    each keeps a device of its own.
    """
    before = directory.execution()
    assert before is not None, "the leader writes it before anyone reads it"
    keys = ("threads", "memory_format", "deterministic", "compile", "micro_batches")
    kept: dict[str, Any] = {key: before[key] for key in keys if key in before}
    device = trial.config.execution.device if rank_and_world()[1] > 1 else before["device"]
    return trial.executed(trial.config.execution.model_copy(update={**kept, "device": device}))


class Writer:
    """Writes each epoch of a trial down, and how it ended. A context manager.

    Args:
        training: the trial in training.
        directory: the trial's directory.
        records: records of the epochs that are done; the caller adds to this list.
        status: how the trial has ended already; None where it has not.
    """

    def __init__(
        self, training: Training, directory: TrialDirectory, records: list[Record], status: Status | None
    ) -> None:
        self._training, self._directory, self._records = training, directory, records
        train = training.config.train
        self._history = History(directory, records, tensorboard=train.tensorboard)
        directory.write_status(Status(status="running", epoch=training.epoch))
        self._keeper = Keeper(directory.folder, train.keep, records)
        if records and not directory.folder.exists("last.pt"):  # It begins from a checkpoint that lies elsewhere.
            self._keeper.save(training.checkpoint(records), records[-1])
        self._end(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._history.close()

    def write(self, record: Record, status: Status | None) -> None:
        """Write an epoch down.

        Args:
            record: the epoch's record.
            status: how the trial has ended with it; None where it has not.
        """
        self._history.add(record)
        self._keeper.save(self._training.checkpoint(self._records), record)
        self._end(status)

    def write_step(self, checkpoint: Checkpoint) -> None:
        """Write the middle of an epoch down."""
        self._keeper.save_step(replace(checkpoint, records=self._records))

    def _end(self, status: Status | None) -> None:
        if status is not None:
            self._directory.write_status(status)
            self._keeper.finish()
