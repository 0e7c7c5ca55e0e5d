"""The epoch iterator: shuffled, augmented, normalized batches on the device, and plain ones for evaluation.

The order of an epoch and each sample's crop and flip are computed at its start from (seed, epoch, sample); a step then
only slices and gathers. What else is random is drawn for each batch, on the CPU. Nothing waits for the device.
"""

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from wsnet.config.augment import AugmentConfig
from wsnet.data.images import ImageSet
from wsnet.data.normalize import Normalize
from wsnet.data.pixels import Pixels
from wsnet.data.sampler import Shares, share

__all__ = ["Batch", "ByteBatch", "EpochBatches", "TensorSet", "evaluation_batches", "on_device"]


class Batch(NamedTuple):
    """One rank's share of a batch.

    Attributes:
        images: float32 (B, C, H, W), normalized; with dual cutout (2B, C, H, W), the views of image i at 2i and 2i + 1.
        labels: int64 (B,); of mixed images that of the largest part.
        weight: share of this rank in the batch times the number of ranks, so that the mean over ranks of
            `weight * mean loss` is the mean loss of the batch. 1 for one process; 0 where the rank had no image left
            and got another rank's only to take part.
        targets: float32 (B, classes), the share of every label in mixed images; None: the labels say all.
    """

    images: Tensor
    labels: Tensor
    weight: float
    targets: Tensor | None = None


class ByteBatch(NamedTuple):
    """A `Batch` before normalization, and what `Finish` has to know of it.

    Attributes:
        images: uint8 (P, H, W, C): the rank's own, then images of other ranks that some of them are mixed with.
        labels: int64 (P,).
        weight: as in `Batch`.
        samples: int64 (P,), on the CPU: which samples of the training set they are.
        partners: int64 (partners, B), on the CPU: places of the images that each own image is mixed with.
        epoch: the epoch.
        step: the step of the epoch.
    """

    images: Tensor
    labels: Tensor
    weight: float
    samples: Tensor
    partners: Tensor | None
    epoch: int
    step: int


class TensorSet(NamedTuple):
    """An `ImageSet` on a device: uint8 images (N, H, W, C), int64 labels (N,)."""

    images: Tensor
    labels: Tensor


def on_device(split: ImageSet | TensorSet, device: torch.device | str) -> TensorSet:
    """Put a split on a device; on the CPU the tensors are views of the mapped arrays. They must not be written to."""
    if isinstance(split, ImageSet):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable")
            split = TensorSet(torch.from_numpy(split.images), torch.from_numpy(split.labels))
    return TensorSet(split.images.to(device), split.labels.to(device))


class EpochBatches:
    """The augmented bytes of any step of any epoch: a pure function of (seed, epoch, step) and of the options.

    Worker processes run the same function, so they give the same bits.

    Args:
        split: the training images.
        shares: which of them each step needs.
        augment: the random changes.
        seed: the trial's seed.
    """

    def __init__(self, split: TensorSet, shares: Shares, *, augment: AugmentConfig, seed: int) -> None:
        self.split, self.shares = split, shares
        _, height, width, _ = split.images.shape
        self._pixels = Pixels(augment, seed=seed, height=height, width=width, device=split.images.device)
        self.height, self.width = self._pixels.height, self._pixels.width
        self._plan: tuple[int, Tensor, Tensor] | None = None  # of the last epoch asked for

    def plan(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The order of the epoch's samples, on the images' device, and their variants; int64 (N,) each."""
        if self._plan is None or self._plan[0] != epoch:
            order = self.shares.order(epoch).to(self.split.images.device)
            self._plan = (epoch, order, self._pixels.variants(epoch, order))
        return self._plan[1:]

    def batch(self, epoch: int, step: int) -> ByteBatch:
        """This rank's share of a step's batch."""
        order, variants = self.plan(epoch)
        part = self.shares.of(epoch, step)
        places = part.places if isinstance(part.places, slice) else part.places.to(order.device, non_blocking=True)
        there = order[places]
        images = self._pixels(self.split.images.index_select(0, there), variants[places], epoch, part.samples)
        labels = self.split.labels.index_select(0, there)
        return ByteBatch(images, labels, part.weight, part.samples, part.partners, epoch, step)


def evaluation_batches(
    split: ImageSet | TensorSet,
    *,
    batch_size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    device: torch.device | str = "cpu",
    memory_format: torch.memory_format = torch.channels_last,
    rank: int = 0,
    world: int = 1,
) -> Iterator[Batch]:
    """This rank's share of a split: in order, not augmented, every image on exactly one rank.

    Ranks may get different numbers of batches, and none where there are fewer images than ranks; sums over images
    (not means over batches) add up to those of one process.

    Args:
        split: the images; give `on_device(split, device)` to put them there once for many evaluations.
        batch_size: images per batch and rank.
        mean: per-channel mean, as a share of 255.
        std: per-channel standard deviation, as a share of 255.
        device: where to evaluate.
        memory_format: of the images.
        rank: this process among `world`.
        world: number of processes.
    """
    images, labels = on_device(split, device)
    _, height, width, _ = images.shape
    normalize = Normalize(mean, std, height=height, width=width, memory_format=memory_format, device=images.device)
    start, stop = share(len(labels), rank, world)
    for first in range(start, stop, batch_size):
        last = min(first + batch_size, stop)
        yield Batch(normalize(images[first:last]), labels[first:last], 1.0)
