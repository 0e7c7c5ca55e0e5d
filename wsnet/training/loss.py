"""The training loss: cross entropy with labels (plain, smoothed or mixed), and dual cutout's consistency.

Evaluation uses plain cross entropy.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from wsnet.config import TrialConfig
from wsnet.data import Batch

__all__ = ["Loss", "averaged_views", "parts"]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The terms of the loss.

    Attributes:
        label_smoothing: fraction of each label that is spread over all classes.
        consistency: weight of the mean squared difference between the logits of two views; None: images have one view.
    """

    label_smoothing: float = 0.0
    consistency: float | None = None

    @classmethod
    def of(cls, config: TrialConfig) -> "Loss":
        """The loss of a trial."""
        dual = config.data.augment.dual_cutout
        return cls(label_smoothing=config.train.label_smoothing, consistency=None if dual is None else dual.alpha)

    @property
    def views(self) -> int:
        """Views of each image in a batch."""
        return 1 if self.consistency is None else 2

    def __call__(self, logits: Tensor, batch: Batch, *, of: int | None = None) -> Tensor:
        """The mean loss of a batch, or what a part of it adds to that mean.

        With two views it is the mean of both cross entropies plus the weighted mean squared difference of their logits.

        A batch of R stacked replicates has labels (B, R), targets (B, R, classes) and logits (B, R classes), and each
        replicate has a loss.

        Args:
            logits: (B, classes), or (2B, classes) with two views of each image, next to each other.
            batch: the images and labels of these logits.
            of: number of images in the whole batch if `batch` is a part of one; None: `batch` is whole.

        Returns:
            (), or (R,).
        """
        targets = batch.labels if batch.targets is None else batch.targets
        if batch.labels.dim() == 2:
            return self._of_each(logits.unflatten(1, (batch.labels.shape[1], -1)), targets, of or len(batch.labels))
        if self.consistency is None:
            return _cross_entropy(logits, targets, self.label_smoothing, of)
        first, second = logits.unflatten(0, (-1, 2)).unbind(1)
        twice = targets.repeat_interleave(2, 0)
        both = _cross_entropy(logits, twice, self.label_smoothing, None if of is None else 2 * of)
        if of is None:
            return both + self.consistency * F.mse_loss(first, second)
        return both + self.consistency * F.mse_loss(first, second, reduction="sum") / (of * logits.shape[1])

    def _of_each(self, logits: Tensor, targets: Tensor, of: int) -> Tensor:
        """The losses of all replicates, (R,), from logits (B, R, classes) or with two views (2B, R, classes)."""
        if self.consistency is not None:
            targets = targets.repeat_interleave(2, 0)
        rows, classes = targets.shape[:2], logits.shape[2]
        each = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(0, 1), reduction="none", label_smoothing=self.label_smoothing
        )
        entropy = each.view(rows).sum(0) / (of * self.views)
        if self.consistency is None:
            return entropy
        first, second = logits.unflatten(0, (-1, 2)).unbind(1)
        both: Tensor = entropy + self.consistency * (first - second).square().sum((0, 2)) / (of * classes)
        return both


def parts(batch: Batch, size: int, *, views: int = 1) -> list[Batch]:
    """A batch in parts of `size` images, each image with all its views."""
    images, labels = batch.images.split(size * views), batch.labels.split(size)
    targets = [None] * len(labels) if batch.targets is None else batch.targets.split(size)
    pieces = zip(images, labels, targets, strict=True)
    return [Batch(image, label, batch.weight, target) for image, label, target in pieces]


def averaged_views(logits: Tensor, views: int) -> Tensor:
    """The logits of each image, (B, classes): the mean over its views."""
    return logits if views == 1 else logits.unflatten(0, (-1, views)).mean(1)


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float, of: int | None) -> Tensor:
    if of is None:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing) / of
