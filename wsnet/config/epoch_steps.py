"""How an epoch's images are divided into steps: the one place that counts them, for configuration, loader and loop."""

from dataclasses import dataclass

__all__ = ["EpochSteps"]


@dataclass(frozen=True)
class EpochSteps:
    """The steps of an epoch, regardless of how many workers share each batch.

    Args:
        images: images in the training set.
        batch_size: images per step, over all workers together.
        drop_last: leave out the last batch when it is smaller than the others.
        at_most: end the epoch after this many steps.
    """

    images: int
    batch_size: int
    drop_last: bool = False
    at_most: int | None = None

    @property
    def count(self) -> int:
        """Steps in an epoch."""
        whole, rest = divmod(self.images, self.batch_size)
        steps = whole + (1 if rest and not self.drop_last else 0)
        return steps if self.at_most is None else min(steps, self.at_most)

    @property
    def whole_batches(self) -> int:
        """Steps in an epoch without a smaller last one. An epoch's only step counts, whatever its size."""
        return max(1, min(self.count, self.images // self.batch_size))

    def images_in(self, step: int) -> int:
        """Images in the batch of a step (counted from 0), over all workers together."""
        return min(self.batch_size, self.images - step * self.batch_size)
