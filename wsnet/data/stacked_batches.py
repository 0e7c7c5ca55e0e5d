"""The batches of stacked replicates: each replicate's own images, side by side along the channels."""

from collections.abc import Iterator, Sequence

import torch

from wsnet.data.batches import Batch
from wsnet.data.loader import Batches

__all__ = ["StackedBatches"]


class StackedBatches:
    """The batches of several trainings that differ in their seeds only.

    Args:
        replicates: the batches of each, with the same batch size, images and device.
        memory_format: of the images, torch.channels_last or torch.contiguous_format.
    """

    def __init__(self, replicates: Sequence[Batches], memory_format: torch.memory_format) -> None:
        self._replicates, self._memory_format = replicates, memory_format

    def first_image(self, step: int) -> int:
        """Position of the first image within the whole batch of a step (counted within the epoch)."""
        return self._replicates[0].first_image(step)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from step `start` on.

        With R replicates, images are (B, R C, H, W), labels (B, R) and targets (B, R, classes).

        Raises:
            DataError: naming a damaged file, when its batch is reached.
        """
        for batches in zip(*(each.epoch(epoch, start) for each in self._replicates), strict=True):
            images, labels, _, targets = zip(*batches, strict=True)
            yield Batch(
                torch.cat(images, 1).contiguous(memory_format=self._memory_format),
                torch.stack(labels, 1),
                1.0,
                None if targets[0] is None else torch.stack(targets, 1),
            )
