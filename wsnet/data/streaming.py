"""Batches of a streamed set: files read, decoded, cropped and resized by worker processes; colours, normalization,
erasing and mixing on the device.

Stands where `Batches` stands. What a batch holds is a pure function of (seed, epoch, step): worker processes run it, so
that their number changes nothing, and an epoch can be begun at any step without decoding what came before.
"""

from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from wsnet.config.data import AugmentConfig
from wsnet.data.augment_floats import Finish
from wsnet.data.batches import Batch, ByteBatch
from wsnet.data.crop import RandomCrops
from wsnet.data.files import ImageFiles
from wsnet.data.images import DataError
from wsnet.data.jpeg import evaluation_images, training_images
from wsnet.data.mix import partners_needed
from wsnet.data.normalize import Normalize
from wsnet.data.pixels import coloured
from wsnet.data.sampler import Shares, share

__all__ = ["StreamedBatches", "streamed_evaluation"]

_Step = tuple[int, int]  # epoch, step


class StreamedBatches:
    """The batches of every epoch of a training. The same bits whatever the workers, as in `Batches`."""

    def __init__(
        self,
        split: ImageFiles,
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
        """Arguments and errors as of `Batches`."""
        if workers < 0:
            raise ValueError(f"workers must be at least 0, but got workers={workers}")
        self._shares = Shares(
            len(split),
            batch_size=batch_size,
            seed=seed,
            drop_last=drop_last,
            rank=rank,
            world=world,
            partners=partners_needed(augment),
        )
        self._finish = _Finish(
            split.size, mean, std, memory_format, torch.device(device), augment=augment, seed=seed, classes=classes
        )
        self._dataset = _Training(split, self._shares, RandomCrops(augment, seed))
        self._sampler = _Steps()
        self._loader = _loader(self._dataset, self._sampler, workers, self._finish.device) if workers else None

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

        Raises:
            DataError: naming a file that is damaged, once its batch is due.
        """
        self._sampler.steps = [(epoch, step) for step in range(start, self.steps)]
        return self._finish(self._loader or (self._dataset[step] for step in self._sampler))


def streamed_evaluation(
    split: ImageFiles,
    *,
    batch_size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    device: torch.device | str = "cpu",
    memory_format: torch.memory_format = torch.channels_last,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
) -> Iterator[Batch]:
    """This rank's share of a split, in order, each image's middle; arguments as of `evaluation_batches`."""
    start, stop = share(len(split), rank, world)
    dataset = _Evaluation(split, start, stop, batch_size)
    steps = _Steps()
    steps.steps = [(0, step) for step in range(-(-(stop - start) // batch_size))]
    finish = _Finish(split.size, mean, std, memory_format, torch.device(device))
    return finish(_loader(dataset, steps, workers, finish.device) if workers else (dataset[step] for step in steps))


class _Training(Dataset[ByteBatch | str]):
    """Maps (epoch, step) to this rank's share of a batch, or to what is wrong with a file."""

    def __init__(self, files: ImageFiles, shares: Shares, crops: RandomCrops) -> None:
        self.files, self.shares, self.crops = files, shares, crops

    def __getitem__(self, index: _Step) -> ByteBatch | str:
        part = self.shares.of(*index)
        samples = part.samples.numpy()
        try:
            images = training_images(self.files, samples, self.crops, index[0])
        except DataError as error:
            return str(error)
        labels = torch.from_numpy(self.files.labels[samples])
        return ByteBatch(images, labels, part.weight, part.samples, part.partners, *index)


class _Evaluation(Dataset[ByteBatch | str]):
    """Maps (0, step) to a batch of the images from `start` to `stop`."""

    def __init__(self, files: ImageFiles, start: int, stop: int, batch_size: int) -> None:
        self.files, self.start, self.stop, self.batch_size = files, start, stop, batch_size

    def __getitem__(self, index: _Step) -> ByteBatch | str:
        first = self.start + index[1] * self.batch_size
        samples = range(first, min(first + self.batch_size, self.stop))
        try:
            images = evaluation_images(self.files, samples)
        except DataError as error:
            return str(error)
        labels = torch.from_numpy(self.files.labels[first : samples.stop].copy())
        return ByteBatch(images, labels, 1.0, torch.arange(first, samples.stop), None, *index)


class _Steps(Sampler[_Step]):
    """Sends the workers what to prepare, so that they need no state of their own."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []

    def __iter__(self) -> Iterator[_Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)


class _Finish:
    """Bytes to a `Batch`: a quarter of the traffic of floats, between processes and to the device."""

    def __init__(
        self,
        size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        memory_format: torch.memory_format,
        device: torch.device,
        *,
        augment: AugmentConfig = AugmentConfig(),  # noqa: B008 (frozen)
        seed: int = 0,
        classes: int | None = None,
    ) -> None:
        self.device, self._augment, self._seed = device, augment, seed
        normalize = Normalize(mean, std, height=size, width=size, memory_format=memory_format, device=device)
        self._finish = Finish(normalize, augment, seed=seed, classes=classes)

    def __call__(self, prepared: Iterable[ByteBatch | str]) -> Iterator[Batch]:
        for item in prepared:
            if isinstance(item, str):  # An exception from another process would carry that one's traceback as its text.
                raise DataError(item)
            images, labels = (tensor.to(self.device, non_blocking=True) for tensor in (item.images, item.labels))
            images = coloured(images, self._augment, self._seed, item.epoch, item.samples)
            yield self._finish(item._replace(images=images, labels=labels))


def _loader(
    dataset: Dataset[ByteBatch | str], steps: _Steps, workers: int, device: torch.device
) -> "DataLoader[ByteBatch | str]":
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        persistent_workers=isinstance(dataset, _Training),
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # its own, as the loader draws a number per epoch
    )
