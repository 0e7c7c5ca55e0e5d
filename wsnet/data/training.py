"""Training batches, epoch by epoch, prepared in this process or by worker processes."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from wsnet.config.data import AugmentConfig
from wsnet.data.batches import Batch, ByteBatch, EpochBatches, TensorSet, on_device
from wsnet.data.images import ImageSet
from wsnet.data.normalize import Normalize

__all__ = ["Batches"]

_Step = tuple[int, int]  # epoch, step


class Batches:
    """The batches of every epoch of a training.

    The images of a batch are the same, to the last bit, whatever the workers; over all ranks together they are those
    that one process would get.
    """

    def __init__(
        self,
        split: ImageSet | TensorSet,
        *,
        batch_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        augment: AugmentConfig,
        seed: int,
        device: torch.device | str = "cpu",
        memory_format: torch.memory_format = torch.channels_last,
        drop_last: bool = False,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
    ) -> None:
        """Prepare the iterator; without workers, the images are put on the device here.

        Args:
            split: the training images.
            batch_size: images per step, over all ranks together.
            mean: per-channel mean, as a share of 255.
            std: per-channel standard deviation, as a share of 255.
            augment: crops and flips.
            seed: the trial's seed.
            device: where the batches are wanted.
            memory_format: of the images, torch.channels_last or torch.contiguous_format.
            drop_last: leave out an epoch's last batch when it is smaller than the others.
            rank: this process among `world`.
            world: number of processes that share each batch.
            workers: processes that prepare batches (of this rank's share); 0 prepares them here.

        Raises:
            ValueError: if the batch size, the rank or the number of workers is out of range, or no step is left.
        """
        if batch_size < 1 or not 0 <= rank < world or workers < 0:
            raise ValueError(
                "batch_size must be at least 1, rank from 0 to world - 1, and workers at least 0, "
                f"but got batch_size={batch_size}, rank={rank}, world={world}, workers={workers}"
            )
        device = torch.device(device)
        images = on_device(split, "cpu" if workers else device)
        self._batches = EpochBatches(
            images, batch_size=batch_size, augment=augment, seed=seed, drop_last=drop_last, rank=rank, world=world
        )
        if not self.steps:
            raise ValueError(
                f"an epoch must have at least one step, but got batch_size={batch_size}, drop_last={drop_last} "
                f"with {len(images.labels)} images"
            )
        _, height, width, _ = images.images.shape
        self._normalize = Normalize(mean, std, height=height, width=width, memory_format=memory_format, device=device)
        self._device = device
        self._steps = _StepSampler(self.steps)
        self._loader = _loader(self._batches, self._normalize, self._steps, workers, device) if workers else None

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self._batches.steps

    def first_image(self, step: int) -> int:
        """Position, in the whole batch of a step of an epoch, of the first image of this rank's share."""
        return self._batches.place(step)[0]

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, on the device; with workers, one epoch at a time (it may be left early)."""
        if self._loader is None:
            for step in range(self.steps):
                images, labels, weight = self._batches.batch(epoch, step)
                yield Batch(self._normalize(images), labels, weight)
        else:
            self._steps.epoch = epoch
            for images, labels, weight in self._loader:
                images = images.to(self._device, non_blocking=True)
                # Normalized where a batch without workers is: by a CPU worker already, else on the device (as bytes,
                # a batch also takes a quarter of the time to get there)
                images = images if images.is_floating_point() else self._normalize(images)
                yield Batch(images, labels.to(self._device, non_blocking=True), weight)


class _StepSampler(Sampler[_Step]):
    """Sends (epoch, step) to the workers, so that they need no state of their own."""

    def __init__(self, steps: int) -> None:
        self.epoch = 0
        self.steps = steps

    def __iter__(self) -> Iterator[_Step]:
        return iter([(self.epoch, step) for step in range(self.steps)])

    def __len__(self) -> int:
        return self.steps


class _StepDataset(Dataset[tuple[Any, ...]]):
    """Maps (epoch, step) to a batch, inside a worker."""

    def __init__(self, batches: EpochBatches, normalize: Normalize | None) -> None:
        self.batches = batches
        self.normalize = normalize

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        batch: ByteBatch = self.batches.batch(*index)
        images = batch.images if self.normalize is None else self.normalize(batch.images)
        return images, batch.labels, batch.weight


def _loader(
    batches: EpochBatches, normalize: Normalize, steps: _StepSampler, workers: int, device: torch.device
) -> DataLoader[tuple[Any, ...]]:
    return DataLoader(
        _StepDataset(batches, normalize if device.type == "cpu" else None),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        persistent_workers=True,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # its own, as the loader draws a number per epoch
    )
