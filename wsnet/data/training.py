"""Training batches, epoch by epoch, prepared in this process or by worker processes."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from wsnet.config.augment import AugmentConfig
from wsnet.data.augment_floats import Finish
from wsnet.data.batches import Batch, ByteBatch, EpochBatches, TensorSet, on_device
from wsnet.data.images import ImageSet
from wsnet.data.mix import partners_needed
from wsnet.data.normalize import Normalize
from wsnet.data.sampler import Shares

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
        classes: int | None = None,
    ) -> None:
        """Prepare the iterator; without workers, the images are put on the device here.

        Args:
            split: the training images.
            batch_size: images per step, over all ranks together.
            mean: per-channel mean, as a share of 255.
            std: per-channel standard deviation, as a share of 255.
            augment: the random changes.
            seed: the trial's seed.
            device: where the batches are wanted.
            memory_format: of the images, torch.channels_last or torch.contiguous_format.
            drop_last: leave out an epoch's last batch when it is smaller than the others.
            rank: this process among `world`.
            world: number of processes that share each batch.
            workers: processes that prepare batches (of this rank's share); 0 prepares them here.
            classes: number of classes, needed where images are mixed.

        Raises:
            ValueError: if the batch size, the rank or the number of workers is out of range, no step is left, or the
                number of classes is missing.
        """
        if workers < 0:
            raise ValueError(f"workers must be at least 0, but got workers={workers}")
        device = torch.device(device)
        images = on_device(split, "cpu" if workers else device)
        self._shares = Shares(
            len(images.labels),
            batch_size=batch_size,
            seed=seed,
            drop_last=drop_last,
            rank=rank,
            world=world,
            partners=partners_needed(augment),
        )
        self._batches = EpochBatches(images, self._shares, augment=augment, seed=seed)
        size = {"height": self._batches.height, "width": self._batches.width}
        normalize = Normalize(mean, std, memory_format=memory_format, device=device, **size)
        self._finish = Finish(normalize, augment, seed=seed, classes=classes)
        self._device = device
        self._steps = _StepSampler(self.steps)
        self._loader = _loader(self._batches, self._finish, self._steps, workers, device) if workers else None

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self._shares.steps

    def first_image(self, step: int) -> int:
        """Position, in the whole batch of a step of an epoch, of the first image of this rank's share."""
        return self._shares.first_image(step)

    def images(self, step: int) -> int:
        """Images in the whole batch of a step of an epoch, over all ranks."""
        return self._shares.images(step)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from step `start` on, on the device; with workers, one epoch at a time.

        It may be left early.
        """
        if self._loader is None:
            for step in range(start, self.steps):
                yield self._finish(self._batches.batch(epoch, step))
        else:
            self._steps.epoch, self._steps.start = epoch, start
            for batch in self._loader:
                # Finished where a batch without workers is: by a CPU worker already, else on the device (as bytes, a
                # batch also takes a quarter of the time to get there)
                yield batch if isinstance(batch, Batch) else self._finish(self._there(batch))

    def _there(self, batch: ByteBatch) -> ByteBatch:
        images, labels = (tensor.to(self._device, non_blocking=True) for tensor in (batch.images, batch.labels))
        return batch._replace(images=images, labels=labels)


class _StepSampler(Sampler[_Step]):
    """Sends (epoch, step) to the workers, so that they need no state of their own."""

    def __init__(self, steps: int) -> None:
        self.epoch = self.start = 0
        self.steps = steps

    def __iter__(self) -> Iterator[_Step]:
        return iter([(self.epoch, step) for step in range(self.start, self.steps)])

    def __len__(self) -> int:
        return self.steps - self.start


class _StepDataset(Dataset[Batch | ByteBatch]):
    """Maps (epoch, step) to a batch, inside a worker."""

    def __init__(self, batches: EpochBatches, finish: Finish | None) -> None:
        self.batches = batches
        self.finish = finish

    def __getitem__(self, index: Any) -> Batch | ByteBatch:
        batch = self.batches.batch(*index)
        return batch if self.finish is None else self.finish(batch)


def _loader(
    batches: EpochBatches, finish: Finish, steps: _StepSampler, workers: int, device: torch.device
) -> DataLoader[Batch | ByteBatch]:
    return DataLoader(
        _StepDataset(batches, finish if device.type == "cpu" else None),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        persistent_workers=True,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # its own, as the loader draws a number per epoch
    )
