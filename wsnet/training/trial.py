"""A trial: a configuration with its images and its identity, and the batches and network built from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wsnet.config import ExecutionConfig, TrialConfig, setting_id, trial_id
from wsnet.config.epoch_steps import EpochSteps
from wsnet.config.norm import NormConfig
from wsnet.data import Batches, ImageSplits, load
from wsnet.distributed import rank_and_world
from wsnet.layers import initialize
from wsnet.models import build, load_pretrained, pretrained_hash
from wsnet.training.checkpoint import Checkpoint
from wsnet.training.execution import settle

__all__ = ["Trial"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What `fit` trains.

    Attributes:
        config: the configuration; its execution is settled.
        images: the decoded images of the splits.
        workers: processes that train the trial together.
        warm_start: SHA-256 of the file that this trial starts from: pretrained weights, or another trial's checkpoint.
        stack: the seeds that are trained side by side with it, its own among them; empty if it is trained alone.
    """

    config: TrialConfig
    images: ImageSplits
    workers: int = 1
    warm_start: str | None = None
    stack: tuple[int, ...] = ()

    @classmethod
    def prepare(
        cls,
        config: TrialConfig,
        *,
        root: Path | None = None,
        cpus: int | None = None,
        workers: int = 1,
        check: bool = True,
    ) -> "Trial":
        """Load a trial's images and settle its execution.

        Args:
            config: the configuration.
            root: folder of the image sets.
            cpus: CPUs that each worker was given.
            workers: processes that train the trial together.
            check: whether to check every file of a streamed set for changes.

        Raises:
            DataError: the images are missing or damaged.
            ModelError: the pretrained weights are missing.
            TrialError: the configured device does not exist.
        """
        settled = config.model_copy(update={"execution": settle(config.execution, cpus=cpus)})
        images = load(config.data, root=root, check=check)
        return cls(config=settled, images=images, workers=workers, warm_start=pretrained_hash(config.model))

    @property
    def setting_id(self) -> str:
        """Identity of the setting."""
        return setting_id(self.config, **self._beyond_options())

    @property
    def trial_id(self) -> str:
        """Identity of the trial."""
        return trial_id(self.config, **self._beyond_options())

    def executed(self, execution: ExecutionConfig) -> "Trial":
        """The same trial, executed another way."""
        return replace(self, config=self.config.model_copy(update={"execution": execution}))

    def stacked(self, seeds: Sequence[int]) -> "list[Trial]":
        """This trial and others that differ from it in their seeds only, to be trained side by side.

        Args:
            seeds: of all of them, in their order in the stack.
        """
        stack = tuple(seeds)
        return [replace(self, config=self.config.model_copy(update={"seed": seed}), stack=stack) for seed in stack]

    def begun_from(self, checkpoint: Checkpoint, sha256: str) -> "Trial":
        """This trial, started from a checkpoint: its own changes nothing, another trial's makes it a new trial."""
        return self if checkpoint.trial_id == self.trial_id else replace(self, warm_start=sha256)

    @property
    def epoch_steps(self) -> EpochSteps:
        """The steps of an epoch, on the images at hand: tests and benchmarks make up fewer than are configured."""
        return replace(self.config.epoch_steps, images=len(self.images.train))

    @property
    def placement(self) -> dict[str, Any]:
        """What every loader needs besides the images: normalization, device, memory format, rank and world size."""
        rank, world = rank_and_world()
        is_channels_last = self.config.execution.memory_format == "channels_last"
        return {
            "mean": self.images.mean,
            "std": self.images.std,
            "device": torch.device(self.config.execution.device),
            "memory_format": torch.channels_last if is_channels_last else torch.contiguous_format,
            "rank": rank,
            "world": world,
        }

    def training_batches(self, *, batch_size: int, drop_last: bool = False, loader_processes: int) -> Batches:
        """The training images in the order and augmentation of the trial's seed.

        Args:
            batch_size: images per batch, over all workers of the trial together.
            drop_last: leave out an epoch's last batch when it is smaller than the others.
            loader_processes: processes that prepare batches; 0: this one does.
        """
        return Batches(
            self.images.train,
            batch_size=batch_size,
            drop_last=drop_last,
            augment=self.config.data.augment,
            seed=self.config.seed,
            loader_processes=loader_processes,
            classes=len(self.images.classes),
            **self.placement,
        )

    def initial_model(self, norm: NormConfig) -> nn.Module:
        """The network with its initial weights, on the CPU: those of the seed, or pretrained ones.

        Args:
            norm: the norm to build it with (see `wsnet.training.micro_batches`).

        Raises:
            ModelError: the network cannot be built, or the pretrained weights are of another one.
        """
        network = self.config.model.model_copy(update={"norm": norm})
        classes = len(self.images.classes)
        model = build(network, classes=classes, shape=self.config.data.facts.shape)
        initialize(model, self.config.seed)
        load_pretrained(model, self.config.model, classes=classes)
        return model

    def _beyond_options(self) -> dict[str, Any]:
        return {"data_hash": self.images.hash, "workers": self.workers, "warm_start": self.warm_start}
