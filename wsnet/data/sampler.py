"""Which images a rank needs in each step of each epoch: the same for images in memory and for streamed ones."""

from typing import NamedTuple

import torch
from torch import Tensor

from wsnet.data.random import epoch_order, permutations

__all__ = ["Share", "Shares", "share"]


class Share(NamedTuple):
    """A rank's share of a step's batch.

    Attributes:
        places: places of its images in the epoch's order: the rank's own, then those of other ranks that some of them
            are mixed with. A slice where nothing is mixed, so that indexing copies nothing; else int64 (P,).
        samples: int64 (P,), on the CPU: which samples of the training set they are.
        partners: int64 (partners, B), on the CPU: places in the share of the images that each own image is mixed with;
            None where nothing is mixed.
        weight: as in `Batch`.
    """

    places: slice | Tensor
    samples: Tensor
    partners: Tensor | None
    weight: float


class Shares:
    """A rank's shares of all batches: a pure function of (seed, epoch, step).

    Args:
        images: images in the training set.
        batch_size: images per step, over all ranks together.
        seed: the trial's seed.
        drop_last: leave out an epoch's last batch when it is smaller than the others.
        rank: this process among `world`.
        world: number of processes that share each batch.
        partners: images that each image is mixed with.

    Attributes:
        steps: steps per epoch.

    Raises:
        ValueError: the batch size or the rank is out of range, or no step is left.
    """

    def __init__(
        self, images: int, *, batch_size: int, seed: int, drop_last: bool, rank: int, world: int, partners: int
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world:
            raise ValueError(
                "batch_size must be at least 1 and rank from 0 to world - 1, "
                f"but got batch_size={batch_size}, rank={rank}, world={world}"
            )
        whole, rest = divmod(images, batch_size)
        self.steps = whole + (1 if rest and not drop_last else 0)
        if not self.steps:
            raise ValueError(
                f"an epoch must have at least one step, but got batch_size={batch_size}, drop_last={drop_last} "
                f"with {images} images"
            )
        self._images, self._batch_size, self._seed = images, batch_size, seed
        self._rank, self._world, self._partners = rank, world, partners
        self._order: tuple[int, Tensor] | None = None  # of the last epoch asked for

    def order(self, epoch: int) -> Tensor:
        """The epoch's samples in their order, int64 (N,), on the CPU."""
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, epoch_order(self._seed, epoch, self._images))
        return self._order[1]

    def first_image(self, step: int) -> int:
        """Position, in the whole batch of a step, of the first image of this rank's share."""
        return share(self.images(step), self._rank, self._world)[0]

    def of(self, epoch: int, step: int) -> Share:
        """This rank's share of a step's batch."""
        first, size = step * self._batch_size, self.images(step)
        start, stop = share(size, self._rank, self._world)
        weight = (stop - start) * self._world / size
        if start == stop:  # an image without weight, so that this rank takes part in the step
            start = self._rank % size
            stop = start + 1
        places: slice | Tensor = slice(first + start, first + stop)
        partners = None
        if self._partners:
            everyone = permutations(self._seed, "partners", epoch, step, count=self._partners, n=size)
            chosen, partners = _with_partners(everyone, start, stop)
            places = first + chosen
        return Share(places, self.order(epoch)[places], partners, weight)

    def images(self, step: int) -> int:
        """Images in the whole batch of a step, over all ranks."""
        return min(self._batch_size, self._images - step * self._batch_size)


def share(size: int, rank: int, world: int) -> tuple[int, int]:
    """The first and the past-last position of a rank's share of `size` items, parted as torch.tensor_split does."""
    each, more = divmod(size, world)
    start = rank * each + min(rank, more)
    return start, start + each + (rank < more)


def _with_partners(everyone: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Places in the batch of the images that a rank needs, and where among them the partners of its own are.

    Args:
        everyone: int64 (partners, size): places in the batch of each image's partners.
        start: where the rank's own images start in the batch.
        stop: where they stop.
    """
    partners = everyone[:, start:stop]
    if stop - start == everyone.shape[1]:
        return torch.arange(stop - start), partners
    chosen = torch.cat([torch.arange(start, stop), partners.flatten()])
    return chosen, (stop - start) + torch.arange(partners.numel()).view(partners.shape)
