"""The last part of a training batch: from bytes to normalized floats, erased and mixed."""

from torch import Tensor

from wsnet.config.augment import AugmentConfig
from wsnet.data.batches import Batch, ByteBatch
from wsnet.data.erase import dual_cutout, erased
from wsnet.data.mix import mixed
from wsnet.data.normalize import Normalize

__all__ = ["Finish"]


class Finish:
    """Normalize, then cutout and erasing, then mixing: a pure function of the bytes and of (seed, epoch, step)."""

    def __init__(self, normalize: Normalize, augment: AugmentConfig, *, seed: int, classes: int | None = None) -> None:
        """Prepare it.

        Args:
            normalize: from bytes to floats.
            augment: all changes; those of bytes are done already.
            seed: the trial's seed.
            classes: number of classes, needed where images are mixed.

        Raises:
            ValueError: if it is missing.
        """
        if augment.mixes and classes is None:
            raise ValueError("classes must be given where images are mixed, but got classes=None")
        self.normalize, self.augment, self.seed = normalize, augment, seed
        self.classes = classes or 0

    def __call__(self, batch: ByteBatch) -> Batch:
        """Finish a batch on the device that holds it."""
        augment, images, labels, targets = self.augment, self.normalize(batch.images), batch.labels, None
        images = erased(images, augment, self.seed, batch.epoch, batch.samples)
        if batch.partners is not None:
            images, labels, targets = self._mixed(images, batch)
        elif augment.dual_cutout is not None:
            images = dual_cutout(images, augment.dual_cutout, self.seed, batch.epoch, batch.samples)
        return Batch(images, labels, batch.weight, targets)

    def _mixed(self, images: Tensor, batch: ByteBatch) -> tuple[Tensor, Tensor, Tensor]:
        assert batch.partners is not None
        samples = batch.samples[: batch.partners.shape[1]]
        how = {"classes": self.classes, "seed": self.seed, "epoch": batch.epoch, "step": batch.step}
        return mixed(images, batch.labels, batch.partners, self.augment, samples=samples, **how)
