"""The loader: batches of a split on the device, for training (shuffled, augmented) and for evaluation (in order).

One pipeline serves images in memory and streamed ones: a sampler says which images a step needs, a pixel source gives
their bytes (in this process or in loader processes), and the rest happens on the device.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from wsnet.config.augment import AugmentConfig
from wsnet.data.batch_transform import BatchTransform, Normalize
from wsnet.data.batches import Batch, ByteBatch, TensorSet, tensors_on
from wsnet.data.images import DataError, ImageFiles, ImageSet
from wsnet.data.mix import partners_needed
from wsnet.data.pixel_sources import ArrayPixels, FilePixels, evaluation_bytes
from wsnet.data.sampler import BatchSampler, rank_slice

__all__ = ["Batches", "evaluation_batches"]

_Split = ImageSet | TensorSet | ImageFiles
_Index = tuple[int, int]
"""The two numbers that say which batch a pipeline prepares. In training: its epoch and its step. In evaluation: its
first image and the one after its last."""
_Bytes = TypeVar("_Bytes", ByteBatch, TensorSet)


class Batches:
    """The batches of every epoch of a training run.

    A batch's images are bitwise the same for any number of loader processes; all ranks together get those that a single
    rank would get. An epoch may start at any step without preparing the steps before it.
    """

    def __init__(
        self,
        split: _Split,
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
        loader_processes: int = 0,
        classes: int | None = None,
    ) -> None:
        """Prepare the batches; without loader processes, images in memory are moved to the device here.

        Args:
            split: the training images.
            batch_size: images per step, over all ranks together.
            mean: per-channel mean, as a fraction of 255.
            std: per-channel standard deviation, as a fraction of 255.
            augment: the augmentation.
            seed: the trial's seed.
            device: device of the batches.
            memory_format: of the images, torch.channels_last or torch.contiguous_format.
            drop_last: leave out an epoch's last batch when it is smaller than the others.
            rank: this process among `world`.
            world: number of processes that share each batch.
            loader_processes: processes that prepare the bytes of this rank's batches; 0: this process does.
            classes: number of classes, needed where images are mixed.

        Raises:
            ValueError: if the batch size, the rank or the number of loader processes is out of range, an epoch has no
                step, or the number of classes is missing.
        """
        if loader_processes < 0:
            raise ValueError(f"loader_processes must be at least 0, but got loader_processes={loader_processes}")
        device = torch.device(device)
        self._sampler = sampler = BatchSampler(
            len(split.labels),
            batch_size=batch_size,
            seed=seed,
            drop_last=drop_last,
            rank=rank,
            world=world,
            partners=partners_needed(augment),
        )
        pixels: ArrayPixels | FilePixels
        if isinstance(split, ImageFiles):
            pixels = FilePixels(split, augment)
        else:
            pixels = ArrayPixels(tensors_on(split, "cpu" if loader_processes else device), sampler, augment)
        size = {"height": pixels.height, "width": pixels.width}
        normalize = Normalize(mean, std, memory_format=memory_format, device=device, **size)
        self._transform = BatchTransform(normalize, augment, classes=classes)
        self._pipeline = _Pipeline(partial(_training_bytes, sampler, pixels), loader_processes, device, persistent=True)

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self._sampler.steps.count

    def first_image(self, step: int) -> int:
        """Position of this rank's first image within the whole batch of a step (counted within the epoch)."""
        return self._sampler.first_image(step)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from step `start` on, on the device.

        The iterator may be abandoned early. With loader processes, only one epoch can be iterated at a time.

        Raises:
            DataError: naming a damaged file, when its batch is reached.
        """
        return map(self._transform, self._pipeline([(epoch, step) for step in range(start, self.steps)]))


def evaluation_batches(
    split: _Split,
    *,
    batch_size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    device: torch.device | str = "cpu",
    memory_format: torch.memory_format = torch.channels_last,
    rank: int = 0,
    world: int = 1,
    loader_processes: int = 0,
) -> Iterator[Batch]:
    """This rank's share of a split: in order, not augmented, every image on exactly one rank.

    Ranks may get different numbers of batches, or none if there are fewer images than ranks; sums over images (not
    means over batches) add up to those of a single process.

    Args:
        split: the images. For many evaluations, put them on the device once, with `wsnet.data.on_device`.
        batch_size: images per batch and rank.
        mean: per-channel mean, as a fraction of 255.
        std: per-channel standard deviation, as a fraction of 255.
        device: where to evaluate.
        memory_format: of the images.
        rank: this process among `world`.
        world: number of processes.
        loader_processes: processes that read and decode files; images in memory need none.

    Raises:
        DataError: naming a damaged file, when its batch is reached.
    """
    device = torch.device(device)
    images: TensorSet | ImageFiles
    if isinstance(split, ImageFiles):
        images, height, width = split, split.size, split.size
    else:
        images, loader_processes = tensors_on(split, device), 0
        _, height, width, _ = images.images.shape
    normalize = Normalize(mean, std, height=height, width=width, memory_format=memory_format, device=device)
    start, stop = rank_slice(len(split.labels), rank, world)
    ranges = [(first, min(first + batch_size, stop)) for first in range(start, stop, batch_size)]
    for part in _Pipeline(partial(evaluation_bytes, images), loader_processes, device)(ranges):
        yield Batch(normalize(part.images), part.labels, 1.0)


def _training_bytes(sampler: BatchSampler, pixels: ArrayPixels | FilePixels, epoch: int, step: int) -> ByteBatch:
    return pixels(sampler.batch(epoch, step))


class _Pipeline(Generic[_Bytes]):
    """The bytes of successive batches on the device, prepared in this process or ahead of time by loader processes.

    Bytes rather than floats, since they take a quarter of the time to move between processes and to the device.

    Args:
        prepare: makes a batch's bytes from two numbers: a pure function, so that the processes need no state.
        processes: loader processes, which run `prepare`; 0: this process does.
        device: where the bytes are moved to.
        persistent: whether the loader processes stay alive between calls.
    """

    def __init__(
        self, prepare: Callable[[int, int], _Bytes], processes: int, device: torch.device, *, persistent: bool = False
    ) -> None:
        self._dataset: _BytesOrError[_Bytes] = _BytesOrError(prepare)
        self._device = device
        self._indices: list[_Index] = []
        self._loader: DataLoader[_Bytes | str] | None = None
        if processes:
            self._loader = DataLoader(
                self._dataset,
                batch_size=None,
                sampler=self._indices,
                num_workers=processes,
                persistent_workers=persistent,
                pin_memory=device.type == "cuda",
                generator=torch.Generator(),  # the loader draws a number per epoch: not from the global generator
            )

    def __call__(self, indices: list[_Index]) -> Iterator[_Bytes]:
        """The bytes for each index; with loader processes, a second call ends the iteration of the first.

        Raises:
            DataError: as `prepare` does.
        """
        self._indices[:] = indices  # In place: the loader's sampler is this list.
        made = (self._dataset[index] for index in indices) if self._loader is None else self._loader
        for item in made:
            if isinstance(item, str):
                raise DataError(item)
            yield item if item.images.device == self._device else self._to_device(item)

    def _to_device(self, item: _Bytes) -> _Bytes:
        images, labels = (tensor.to(self._device, non_blocking=True) for tensor in (item.images, item.labels))
        return item._replace(images=images, labels=labels)


class _BytesOrError(Dataset[_Bytes | str]):
    """Maps an index to bytes, or to an error message: an exception would arrive with the traceback of its process."""

    def __init__(self, prepare: Callable[[int, int], _Bytes]) -> None:
        self.prepare: Callable[[int, int], _Bytes] = prepare

    def __getitem__(self, index: _Index) -> _Bytes | str:
        try:
            return self.prepare(*index)
        except DataError as error:
            return str(error)
