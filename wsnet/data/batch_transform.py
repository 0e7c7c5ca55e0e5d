"""From the bytes of a batch to the floats of a step, on the device: colours, normalization, erasing, mixing."""

import torch
from torch import Tensor

from wsnet.config.augment import AugmentConfig
from wsnet.data.batches import Batch, ByteBatch
from wsnet.data.colour import coloured
from wsnet.data.erase import dual_cutout, erased
from wsnet.data.mix import mixed

__all__ = ["BatchTransform", "Normalize"]


class BatchTransform:
    """Change colours, normalize, erase, then mix: a pure function of a batch's bytes and indices."""

    def __init__(self, normalize: "Normalize", augment: AugmentConfig, *, classes: int | None = None) -> None:
        """Prepare the transform.

        Args:
            normalize: maps bytes to floats.
            augment: the augmentation, of which crops and flips are already done.
            classes: number of classes, needed where images are mixed.

        Raises:
            ValueError: if images are mixed and `classes` is missing.
        """
        if augment.mixes and classes is None:
            raise ValueError("classes must be given where images are mixed, but got classes=None")
        self.normalize, self.augment, self.classes = normalize, augment, classes or 0

    def __call__(self, batch: ByteBatch) -> Batch:
        """Transform a batch on the device that holds it."""
        augment, indices, labels, targets = self.augment, batch.indices, batch.labels, None
        images = self.normalize(coloured(batch.images, augment, indices.draws))
        images = erased(images, augment, indices.draws)
        if indices.partners is not None:
            own, step = indices.own, indices.step
            images, labels, targets = mixed(
                images, labels, indices.partners, augment, draws=own, step=step, classes=self.classes
            )
        elif augment.dual_cutout is not None:
            images = dual_cutout(images, augment.dual_cutout, indices.draws)
        return Batch(images, labels, indices.weight, targets)


class Normalize:
    """(x / 255 - mean) / std per channel, as x * scale + shift.

    Not a fused multiply-add: each operation is rounded per IEEE 754, so that the bits do not depend on the device, the
    number of threads, or an image's position in its batch. The constants are expanded to a whole image, since
    broadcasting over an innermost dimension of 3 channels takes five times as long (0.28 against 0.06 ms for
    128 x 32 x 32 x 3 on one CPU thread).
    """

    def __init__(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        height: int,
        width: int,
        memory_format: torch.memory_format = torch.channels_last,
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepare the constants.

        Args:
            mean: per-channel mean, as a fraction of 255.
            std: per-channel standard deviation, as a fraction of 255.
            height: rows of an image.
            width: columns of an image.
            memory_format: torch.channels_last or torch.contiguous_format.
            device: where the images are.

        Raises:
            ValueError: if mean and std differ in length, or the memory format is neither of these.
        """
        if len(mean) != len(std):
            raise ValueError(f"mean and std must have one value per channel each, but got mean={mean}, std={std}")
        if memory_format not in (torch.channels_last, torch.contiguous_format):
            raise ValueError(f"memory_format must be channels_last or contiguous_format, but got {memory_format}")
        self.memory_format = memory_format
        means, stds = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
        shape = (1, len(mean), height, width)
        self._scale, self._shift = (
            constant.float().to(device).view(1, -1, 1, 1).expand(shape).contiguous(memory_format=memory_format)
            for constant in (1 / (255 * stds), -means / stds)
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Normalize a batch.

        Args:
            images: uint8 (B, H, W, C), contiguous.

        Returns:
            float32 (B, C, H, W) in `memory_format`.
        """
        images = images.permute(0, 3, 1, 2)  # a view, and already channels_last
        if self.memory_format is torch.contiguous_format:
            images = images.contiguous()  # before the conversion, while a value is one byte
        return images.float().mul_(self._scale).add_(self._shift)
