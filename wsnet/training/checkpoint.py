"""Checkpoints: everything that a trial needs to go on exactly where it was, and which of them are kept."""

import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist
from torch import nn

from wsnet.distributed import rank_and_world
from wsnet.storage import Folder
from wsnet.storage.trial_directory import Record
from wsnet.training.errors import TrialError
from wsnet.training.optimizer import restore_optimizer

__all__ = ["Checkpoint", "CheckpointError", "Keeper", "of_all_workers", "own_state", "restore_own_state"]

_FORMAT = 1


class CheckpointError(TrialError):
    """A file that is no checkpoint for this trial; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trial after a whole epoch, or in the middle of one.

    Random generators have no state here: all randomness derives from (seed, purpose, epoch).

    Attributes:
        trial_id: identity of the trial.
        epoch: whole epochs done.
        model: the model's parameters and buffers.
        optimizer: the optimizer's moments and step counts, by number of the parameter; its options are the trial's.
        records: one record for each epoch done.
        streams: online norm's state of each of several workers, which go on with their own; `model` has them merged.
        ema: the averaged parameters by name, where `train.ema` asks for them.
        step: steps done of the epoch that is not whole.
        workers: in mid-epoch, what each worker has of its own (see `wsnet.training.checkpoint`).
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
            CheckpointError: they are no checkpoint of wsnet.
        """
        try:
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            if content.pop("format") == _FORMAT:
                return cls(**content)
        except Exception as error:  # Whatever torch, pickle and zip raise for bytes that they can not read.
            raise CheckpointError(f"{name} is no checkpoint of wsnet, or is damaged") from error
        raise CheckpointError(f"{name} is a checkpoint of another version of wsnet; this one reads format {_FORMAT}")

    @classmethod
    def read(cls, folder: Folder, name: str) -> "Checkpoint | None":
        """Read a trial's checkpoint; None where there is none."""
        data = folder.read(name)
        return None if data is None else cls.from_bytes(data, f"{folder.location}/{name}")

    @classmethod
    def latest(cls, folder: Folder, workers: int) -> "Checkpoint | None":
        """How far a trial is: `step.pt` where it is newer than `last.pt`, and of so many workers."""
        last, step = cls.read(folder, "last.pt"), cls.read(folder, "step.pt")
        if step is None or len(step.workers) != workers or (last is not None and step.epoch < last.epoch):
            return last
        return step

    @classmethod
    def load(cls, path: str | Path) -> "Checkpoint":
        """Read any checkpoint file.

        Raises:
            CheckpointError: it is absent or no checkpoint of wsnet.
        """
        try:
            return cls.from_bytes(Path(path).read_bytes(), str(path))
        except OSError as error:
            raise CheckpointError(f"{path} can not be read: {error.strerror}; give a file such as last.pt") from None

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Put the checkpoint's state into a model and its optimizer.

        Raises:
            CheckpointError: the checkpoint is of another architecture, or of another kind of optimizer.
        """
        try:
            model.load_state_dict(self.model)
        except RuntimeError as error:
            first = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
            text = f"the checkpoint (trial {self.trial_id}) is of another architecture: {first}"
            raise CheckpointError(text) from None
        if optimizer is not None:
            try:
                restore_optimizer(optimizer, self.optimizer, model)
            except ValueError as error:
                text = f"the checkpoint (trial {self.trial_id}) is of another optimizer: {error}"
                raise CheckpointError(text) from None


class Keeper:
    """Writes a trial's checkpoints: `last.pt` always, `best.pt` and `epoch_0001.pt`, ... where they are to be kept.

    Args:
        folder: the trial's folder.
        keep: `train.keep` of the configuration.
        records: records of the epochs that are done.
    """

    def __init__(self, folder: Folder, keep: str, records: list[Record]) -> None:
        self._folder, self._keep = folder, keep
        self._best = min((_validation_error(record) for record in records), default=math.inf)

    def save(self, checkpoint: Checkpoint, record: Record) -> None:
        """Save an epoch. The last checkpoint goes last, so that an epoch cut off here is simply trained again."""
        data = checkpoint.to_bytes()
        error = _validation_error(record)
        if self._keep in ("best", "all") and error < self._best:
            self._best = error
            self._folder.write("best.pt", data)
        if self._keep == "all":
            self._folder.write(f"epoch_{checkpoint.epoch:04d}.pt", data)
        self._folder.write("last.pt", data)
        self._folder.delete("step.pt")

    def save_step(self, checkpoint: Checkpoint) -> None:
        """Save the middle of an epoch."""
        self._folder.write("step.pt", checkpoint.to_bytes())

    def finish(self) -> None:
        """The trial needs its last checkpoint no more."""
        if self._keep == "none":
            self._folder.delete("last.pt")


def _validation_error(record: Record) -> float:
    """Infinite where there is no validation split, or where the loss is not finite: such an epoch is never the best."""
    is_sound = all(math.isfinite(record.get(f"{split}/loss", math.nan)) for split in ("train", "validation"))
    return record["validation/top1_error"] if is_sound else math.inf


def own_state(model: nn.Module, meter: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What one worker has of its own in mid-epoch.

    Args:
        model: the network; its buffers count, since parameters are the same everywhere.
        meter: `TrainingMeter.state`.
        seconds: how long the epoch has taken so far.
    """
    buffers = {name: buffer.detach().cpu() for name, buffer in model.named_buffers()}
    return {"buffers": buffers, "meter": meter, "seconds": seconds}


def of_all_workers(own: dict[str, Any]) -> list[dict[str, Any]]:
    """Every worker's own state, in the order of ranks. A collective."""
    world = rank_and_world()[1]
    if world == 1:
        return [own]
    states: list[Any] = [None] * world
    dist.all_gather_object(states, own)
    return states


@torch.no_grad()
def restore_own_state(model: nn.Module, own: dict[str, Any]) -> None:
    """Put a worker's buffers back."""
    for name, buffer in model.named_buffers():
        buffer.copy_(own["buffers"][name])
