"""Checkpoints: everything that a trial needs to go on exactly where it was."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wsnet.storage import Folder
from wsnet.storage.trial_directory import Record
from wsnet.training.errors import TrialError
from wsnet.training.optimizer import restore_optimizer

__all__ = ["Checkpoint", "CheckpointError"]

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
        workers: in mid-epoch, what each worker has of its own (see `wsnet.training.mid_epoch`).
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
