"""Which images a rank needs in each step of each epoch, and the random numbers that belong to them."""

from typing import NamedTuple

import torch
from torch import Tensor

from wsnet.config.epoch_steps import EpochSteps
from wsnet.config.seeding import derive_seed
from wsnet.data.random import Draws, epoch_order, permutations

__all__ = ["BatchIndices", "BatchSampler", "rank_slice"]


class BatchIndices(NamedTuple):
    """The images that a rank needs for a step.

    Attributes:
        places: their positions in the epoch's order: the rank's own images, then further images that these are mixed
            with. Without mixing a slice, so that indexing copies nothing; otherwise int64 (P,).
        draws: the indices of these samples in the training set, on the CPU, with seed and epoch.
        step: the step within the epoch.
        partners: int64 (partners, B), on the CPU: for each own image, the indices (among the P images) of those that it
            is mixed with; None without mixing.
        weight: as in `Batch`.
    """

    places: slice | Tensor
    draws: Draws
    step: int
    partners: Tensor | None
    weight: float

    @property
    def own(self) -> Draws:
        """The draws of the rank's own images."""
        return self.draws if self.partners is None else self.draws.at(slice(self.partners.shape[1]))


class BatchSampler:
    """The indices of all batches of a rank: a pure function of (seed, epoch, step).

    Args:
        images: number of images in the training set.
        batch_size: images per step, over all ranks together.
        seed: the trial's seed.
        drop_last: leave out an epoch's last batch when it is smaller than the others.
        rank: this process among `world`.
        world: number of processes that share each batch.
        partners: number of images that each image is mixed with.

    Attributes:
        steps: the steps of an epoch.

    Raises:
        ValueError: the batch size or the rank is out of range, or an epoch has no step.
    """

    def __init__(
        self, images: int, *, batch_size: int, seed: int, drop_last: bool, rank: int, world: int, partners: int
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world:
            raise ValueError(
                "batch_size must be at least 1 and rank from 0 to world - 1, "
                f"but got batch_size={batch_size}, rank={rank}, world={world}"
            )
        self.steps = EpochSteps(images, batch_size, drop_last)
        if not self.steps.count:
            raise ValueError(
                f"an epoch must have at least one step, but got batch_size={batch_size}, drop_last={drop_last} "
                f"with {images} images"
            )
        self._seed, self._rank, self._world, self._partners = seed, rank, world, partners
        self._epoch: Draws | None = None  # the epoch asked for last

    def epoch(self, epoch: int) -> Draws:
        """The epoch's samples in their order, (N,), on the CPU."""
        if self._epoch is None or self._epoch.epoch != epoch:
            self._epoch = Draws(self._seed, epoch, epoch_order(self._seed, epoch, self.steps.images))
        return self._epoch

    def first_image(self, step: int) -> int:
        """Position of this rank's first image within the whole batch of a step."""
        return rank_slice(self.steps.images_in(step), self._rank, self._world)[0]

    def batch(self, epoch: int, step: int) -> BatchIndices:
        """This rank's images of a step."""
        first, size = step * self.steps.batch_size, self.steps.images_in(step)
        start, stop = rank_slice(size, self._rank, self._world)
        weight = (stop - start) * self._world / size
        if start == stop:  # an image of weight 0, so that this rank takes part in the step
            start = self._rank % size
            stop = start + 1
        places: slice | Tensor = slice(first + start, first + stop)
        partners = None
        if self._partners:
            key = derive_seed(self._seed, "partners", epoch, step)
            everyone = permutations(key, count=self._partners, n=size)
            chosen, partners = _with_partners(everyone, start, stop)
            places = first + chosen
        return BatchIndices(places, self.epoch(epoch).at(places), step, partners, weight)


def rank_slice(size: int, rank: int, world: int) -> tuple[int, int]:
    """Start and stop of a rank's share of `size` items, divided as torch.tensor_split does."""
    each, more = divmod(size, world)
    start = rank * each + min(rank, more)
    return start, start + each + (rank < more)


def _with_partners(everyone: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Positions in the batch of the images that a rank needs, and the indices among them of its images' partners.

    Args:
        everyone: int64 (partners, size): positions in the batch of each image's partners.
        start: where the rank's own images start in the batch.
        stop: where they stop.
    """
    partners = everyone[:, start:stop]
    if stop - start == everyone.shape[1]:
        return torch.arange(stop - start), partners
    chosen = torch.cat([torch.arange(start, stop), partners.flatten()])
    return chosen, (stop - start) + torch.arange(partners.numel()).view(partners.shape)
