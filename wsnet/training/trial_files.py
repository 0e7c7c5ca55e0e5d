"""A trial's directory as rank 0 writes it: what is trained and how, then every epoch, then how it ended.

trial.yaml       the configuration, with the trial's id on its first line
execution.json   how it is computed
NAME.py          source of the user's own norm, if any
records.jsonl    a record for each epoch; log.tsv: a table of them; TensorBoard event files if enabled
*.pt             checkpoints
status.json      running, or how it ended
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from wsnet.config import TrialConfig
from wsnet.config.norm import OwnNormConfig
from wsnet.config.own_class import read_source
from wsnet.config.reading.yaml_lines import dump_yaml
from wsnet.config.scaling import describe_scaling
from wsnet.distributed import rank_and_world
from wsnet.storage import Folder, Status, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint, CheckpointFiles
from wsnet.training.compiling import with_compile_settled
from wsnet.training.execution import TrialError, execution_record, is_available
from wsnet.training.trial import Trial

__all__ = ["TrialWriter", "as_executed_before", "check_owner", "check_stack", "write_start"]

_OWNER = "# trial "
"""Start of trial.yaml; the id of the trial that owns the directory follows."""

_LOG = {
    "Epoch": "epoch",
    "LR": "lr",
    "Train Loss": "train/loss",
    "Valid Loss": "validation/loss",
    "Train Acc.": "train/top1_error",
    "Valid Acc.": "validation/top1_error",
}
"""Columns of log.tsv, and the record entries that they show; errors are shown as accuracies."""


def check_owner(trial: Trial, directory: TrialDirectory) -> None:
    """Refuse another trial's directory: its results would be mistaken for this trial's.

    Raises:
        TrialError: the directory is another trial's.
    """
    first = (directory.folder.read("trial.yaml") or b"").decode(errors="replace").partition("\n")[0]
    owner = first.removeprefix(_OWNER)
    # A garbled file names no owner; it is written anew.
    if first.startswith(_OWNER) and re.fullmatch("[0-9a-f]+", owner) and owner != trial.trial_id:
        raise TrialError(
            f"{directory.folder.location} holds trial {owner}, but this is trial {trial.trial_id} "
            "(other options, images or starting checkpoint); give it a directory of its own"
        )


def check_stack(trial: Trial, directory: TrialDirectory) -> None:
    """Refuse to go on in another stack than the one that an unfinished trial was begun in, or without it.

    Raises:
        TrialError: it was begun side by side with other seeds than it would be now.
    """
    before = directory.execution()
    if before is not None and tuple(before.get("stack", ())) != trial.stack:
        was, now = (_side_by_side(seeds) for seeds in (before.get("stack", ()), trial.stack))
        raise TrialError(
            f"{directory.folder.location} holds a trial that is trained {was}, which changes the last bits of its "
            f"results, so it cannot go on {now}; run its sweep's command again, or give it a directory of its own"
        )


def _side_by_side(seeds: Sequence[int]) -> str:
    return f"side by side with seeds {', '.join(map(str, seeds))}" if seeds else "alone"


def write_start(trial: Trial, directory: TrialDirectory) -> None:
    """Record, before the first step, what is trained and how; a resumed trial keeps its execution if possible."""
    before = directory.execution()
    if before is None or not is_available(before["device"]):
        trial = with_compile_settled(trial)
        directory.write_execution(execution_record(trial.config, workers=trial.workers, stack=trial.stack))
    config = _with_its_source(as_executed_before(trial, directory).config, directory.folder)
    scaled = describe_scaling(config)
    note = f"# optim.scale_with_batch gives {scaled}\n" if scaled else ""
    text = f"{_OWNER}{trial.trial_id}\n{note}{_as_yaml(config)}"
    directory.folder.write("trial.yaml", text.encode())


def _as_yaml(config: TrialConfig) -> str:
    """`dump_yaml` of a configuration, section by section: it is slow, and trials of a sweep share most sections."""
    options = config.model_dump(mode="json")
    seed = options.pop("seed")
    return "".join(_section(json.dumps({name: section})) for name, section in options.items()) + f"seed: {seed}\n"


@lru_cache(maxsize=32)
def _section(options: str) -> str:
    return dump_yaml(json.loads(options))


def as_executed_before(trial: Trial, directory: TrialDirectory) -> Trial:
    """The trial with the threads, layout and device of its execution record: changing them midway changes the bits.

    A key missing from an older version's record is as configured. With several workers the record is rank 0's, and
    each worker keeps its own device.
    """
    before = directory.execution()
    assert before is not None, "the leader writes it before anyone reads it"
    keys = ("threads", "memory_format", "deterministic", "compile", "micro_batches")
    kept: dict[str, Any] = {key: before[key] for key in keys if key in before}
    device = trial.config.execution.device if rank_and_world()[1] > 1 else before["device"]
    return trial.executed(trial.config.execution.model_copy(update={**kept, "device": device}))


def _with_its_source(config: TrialConfig, folder: Folder) -> TrialConfig:
    """Copy the file of a user's own norm into the trial's folder, and point the configuration at the copy.

    Args:
        config: a trial.
        folder: where its `trial.yaml` will be written; the copy's path is relative to that.

    Raises:
        TrialError: the file has changed since the trial was planned.
    """
    norm = config.model.norm
    if not isinstance(norm, OwnNormConfig):
        return config
    name = Path(norm.source_file).name
    try:
        folder.write(name, read_source(norm))
    except ValueError as error:
        raise TrialError(str(error)) from None
    norm = norm.model_copy(update={"source_file": name})
    return config.model_copy(update={"model": config.model.model_copy(update={"norm": norm})})


class Saveable(Protocol):
    """A trial in training, alone or in a stack, or one that has ended."""

    @property
    def config(self) -> TrialConfig:
        """The trial's configuration."""

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""

    def checkpoint(self, records: list[Record]) -> Checkpoint:
        """Its state after that epoch."""


class TrialWriter:
    """Writes each epoch of a trial, and how it ended, to its directory. A context manager.

    Args:
        training: the trial.
        directory: the trial's directory.
        records: records of the completed epochs; the caller appends to this list.
        status: how the trial ended, if it already has; otherwise None.

    Raises:
        TrialError: TensorBoard is not installed, or the directory is remote.
    """

    def __init__(
        self, training: Saveable, directory: TrialDirectory, records: list[Record], status: Status | None
    ) -> None:
        self._training, self._directory, self._records = training, directory, records
        train = training.config.train
        self._tables = _Records(directory, records, tensorboard=train.tensorboard)
        directory.write_status(Status(status="running", epoch=training.epoch))
        self._keeps_none = train.keep == "none"
        self._checkpoints = CheckpointFiles(directory.folder, train.keep, records)
        if records and not directory.folder.exists("last.pt"):  # Started from a checkpoint stored elsewhere.
            self._checkpoints.save(training.checkpoint(records), records[-1])
        self._end(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._tables.close()

    def write(self, record: Record, status: Status | None) -> None:
        """Write an epoch.

        Args:
            record: the epoch's record.
            status: how the trial ended with this epoch; None if it has not ended.
        """
        self._tables.add(record)
        if status is None or not self._keeps_none:  # A trial killed before its status is written repeats this epoch.
            self._checkpoints.save(self._training.checkpoint(self._records), record)
        self._end(status)

    def write_step(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint from the middle of an epoch."""
        self._checkpoints.save_step(replace(checkpoint, records=self._records))

    def _end(self, status: Status | None) -> None:
        if status is not None:
            self._directory.write_status(status)
            self._checkpoints.finish()


class _Records:
    """A trial's records: records.jsonl, log.tsv and TensorBoard's scalars.

    Args:
        directory: the trial's directory.
        records: records of the completed epochs; any later ones in the directory are dropped.
        tensorboard: also write TensorBoard scalars; TensorBoard drops those of later epochs on reading.
    """

    def __init__(self, directory: TrialDirectory, records: list[Record], *, tensorboard: bool) -> None:
        self._directory = directory
        self._scalars = _scalar_writer(directory, purge_step=len(records) + 1) if tensorboard else None
        directory.write_records(records)
        directory.folder.write("log.tsv", _lines(["\t".join(_LOG), *map(_log_line, records)]))

    def add(self, record: Record) -> None:
        """Write one epoch."""
        self._directory.append_record(record)
        self._directory.folder.append("log.tsv", _lines([_log_line(record)]))
        if self._scalars is not None:
            for key, value in record.items():
                self._scalars.add_scalar(key, value, int(record["epoch"]))
            self._scalars.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._scalars is not None:
            self._scalars.close()


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _log_line(record: Record) -> str:
    def shown(key: str) -> str:
        value = record.get(key, math.nan)
        if key == "epoch":
            return str(int(value))
        return f"{100 - value if key.endswith('_error') else value:.6g}"

    return "\t".join(map(shown, _LOG.values()))


def _scalar_writer(directory: TrialDirectory, *, purge_step: int) -> Any:
    if directory.folder.local is None:
        raise TrialError(
            "train.tensorboard needs a local folder, "
            f"but got {directory.folder.location}; leave it off for remote storage"
        )
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TrialError("train.tensorboard needs the tensorboard package: pip install 'wsnet[tensorboard]'") from None
    return SummaryWriter(str(directory.folder.local), purge_step=purge_step)  # type: ignore[no-untyped-call]
