"""Checkpoints: everything that a trial needs to resume exactly where it stopped, and which checkpoints are kept."""

import io
import math
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from wsnet.storage import Folder, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training.execution import TrialError
from wsnet.training.meter import StackedMeter, TrainingMeter
from wsnet.training.optimizer import Optimizer

__all__ = ["Checkpoint", "CheckpointError", "CheckpointFiles", "RunningEpoch"]

_FORMAT = 1
_Meter = TypeVar("_Meter", TrainingMeter, StackedMeter)


class CheckpointError(TrialError):
    """This trial cannot use a file as its checkpoint; the message says why."""


class DamagedCheckpoint(CheckpointError):
    """A file is not a checkpoint, or not the one that was written."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trial after a whole epoch, or in the middle of one.

    It holds no state of a random generator: all randomness derives from (seed, purpose, epoch).

    Attributes:
        trial_id: identity of the trial.
        epoch: number of completed epochs.
        model: the model's parameters and buffers.
        optimizer: the optimizer's moments and step counts, by parameter index; its options come from the trial.
        records: one record for each completed epoch.
        streams: with several workers, each one's online norm state to continue from; `model` has the merged state.
        ema: the averaged parameters by name, if `train.ema` is set.
        step: steps done in the unfinished epoch.
        workers: in mid-epoch, each worker's own state (see `RunningEpoch`), in the order of ranks.
    """

    trial_id: str
    epoch: int
    model: dict[str, Any]
    optimizer: dict[int, dict[str, Any]]
    records: list[Record]
    streams: list[dict[str, Any]] = field(default_factory=list)
    ema: dict[str, torch.Tensor] = field(default_factory=dict)
    step: int = 0
    workers: list[dict[str, Any]] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """As a file that `torch.load(weights_only=True)` reads."""
        buffer = io.BytesIO()
        torch.save({"format": _FORMAT, **self.__dict__}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> "Checkpoint":
        """Read a file's bytes.

        Raises:
            CheckpointError: the bytes are not a wsnet checkpoint.
        """
        try:
            # torch.load does not check the checksums in the file, so a flipped bit would change a weight unnoticed.
            if (damaged := zipfile.ZipFile(io.BytesIO(data)).testzip()) is not None:
                raise ValueError(f"wrong checksum of {damaged}")
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            if content.pop("format") == _FORMAT:
                return cls(**content)
        except Exception as error:  # torch, pickle and zip raise all kinds of errors for bytes that they cannot read.
            raise DamagedCheckpoint(f"{name} is not a wsnet checkpoint, or is damaged") from error
        raise CheckpointError(f"{name} is a checkpoint of another version of wsnet; this one reads format {_FORMAT}")

    @classmethod
    def latest(cls, directory: TrialDirectory, workers: int) -> "Checkpoint | None":
        """The newest checkpoint of a trial that can be used; None if there is none.

        It is `step.pt` if that is newer than the last whole epoch's and of this many workers, else `last.pt`, else
        `previous.pt`, the one before. Damaged files are set aside: lock the directory before.

        Args:
            directory: the trial's directory.
            workers: number of workers now.

        Raises:
            CheckpointError: a checkpoint is of another version of wsnet.
        """
        whole = cls._sound(directory, "last.pt") or cls._sound(directory, "previous.pt")
        step = cls._sound(directory, "step.pt")
        if step is None or len(step.workers) != workers or (whole is not None and step.epoch < whole.epoch):
            return whole
        return step

    @classmethod
    def _sound(cls, directory: TrialDirectory, name: str) -> "Checkpoint | None":
        data = directory.folder.read(name)
        try:
            return None if data is None else cls.from_bytes(data, f"{directory.folder.location}/{name}")
        except DamagedCheckpoint:
            directory.set_aside(name)
            return None

    @classmethod
    def load(cls, path: str | Path) -> "Checkpoint":
        """Read any checkpoint file.

        Raises:
            CheckpointError: the file is missing or not a wsnet checkpoint.
        """
        try:
            return cls.from_bytes(Path(path).read_bytes(), str(path))
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}; give a file such as last.pt") from None

    def restore_model(self, model: nn.Module) -> None:
        """Give a model the checkpoint's parameters and buffers.

        Raises:
            CheckpointError: the checkpoint is of another architecture.
        """
        try:
            model.load_state_dict(self.model)
        except RuntimeError as error:
            first = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
            text = f"the checkpoint (trial {self.trial_id}) is of another architecture: {first}"
            raise CheckpointError(text) from None

    def restore_optimizer(self, optimizer: Optimizer) -> None:
        """Give an optimizer the checkpoint's moments and step counts.

        Raises:
            CheckpointError: the checkpoint is of another kind of optimizer.
        """
        try:
            optimizer.load_state_dict(self.optimizer)
        except ValueError as error:
            text = f"the checkpoint (trial {self.trial_id}) is of another optimizer: {error}"
            raise CheckpointError(text) from None


class RunningEpoch(Generic[_Meter]):
    """The current or next epoch, and what this worker needs to resume in the middle of it.

    Args:
        model: the network. Only its buffers differ between workers; parameters are the same everywhere.
        epoch: number of the epoch, from 1.
        meter: a new one.

    Attributes:
        epoch: number of the epoch.
        step: steps done.
        meter: the measurements of these steps.
    """

    def __init__(self, model: nn.Module, epoch: int, meter: _Meter) -> None:
        self.epoch, self.step = epoch, 0
        self.meter: _Meter = meter
        self._model = model
        self._seconds_before, self._began = 0.0, time.perf_counter()

    def start_clock(self) -> None:
        """Start timing."""
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds spent on the epoch so far, including the part before a checkpoint."""
        return self._seconds_before + time.perf_counter() - self._began

    def state_dict(self: "RunningEpoch[TrainingMeter]") -> dict[str, Any]:
        """This worker's own state after `step` steps, on the CPU; waits for the device."""
        buffers = {name: buffer.detach().cpu() for name, buffer in self._model.named_buffers()}
        return {"buffers": buffers, "meter": self.meter.state_dict(), "seconds": self.seconds}

    @torch.no_grad()
    def load_state_dict(self: "RunningEpoch[TrainingMeter]", state: dict[str, Any], *, step: int) -> None:
        """Continue from a worker's state after `step` steps."""
        for name, buffer in self._model.named_buffers():
            buffer.copy_(state["buffers"][name])
        self.meter.load_state_dict(state["meter"])
        self._seconds_before, self.step = state["seconds"], step


class CheckpointFiles:
    """A trial's checkpoint files: `last.pt` and `previous.pt`, and if wanted `best.pt` and `epoch_0001.pt`, ...

    Args:
        folder: the trial's folder.
        keep: `train.keep` of the configuration.
        records: records of the completed epochs.
    """

    def __init__(self, folder: Folder, keep: str, records: list[Record]) -> None:
        self._folder, self._keep = folder, keep
        self._best = min((_validation_error(record) for record in records), default=math.inf)

    def save(self, checkpoint: Checkpoint, record: Record) -> None:
        """Save an epoch. `last.pt` is written last: if saving is interrupted, the epoch is simply trained again.

        The checkpoint before it is kept until the trial ends, in case the last one gets damaged.
        """
        data = checkpoint.to_bytes()
        error = _validation_error(record)
        if self._keep in ("best", "all") and error < self._best:
            self._best = error
            self._folder.write("best.pt", data)
        if self._keep == "all":
            self._folder.write(f"epoch_{checkpoint.epoch:04d}.pt", data)
        self._folder.rename("last.pt", "previous.pt")
        self._folder.write("last.pt", data)
        self._folder.delete("step.pt")

    def save_step(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint from the middle of an epoch."""
        self._folder.write("step.pt", checkpoint.to_bytes())

    def finish(self) -> None:
        """The trial has ended, and no longer needs a checkpoint to resume from."""
        self._folder.delete("previous.pt")
        if self._keep == "none":
            self._folder.delete("last.pt")


def _validation_error(record: Record) -> float:
    """The error; infinite without a validation split or with a loss that is not finite: such an epoch is never best."""
    is_sound = all(math.isfinite(record.get(f"{split}/loss", math.nan)) for split in ("train", "validation"))
    return record["validation/top1_error"] if is_sound else math.inf
