"""The changes of bytes: first where an image's pixels come from, then their colours."""

import torch
from torch import Tensor

from wsnet.config.augment import AugmentConfig
from wsnet.data.augment import Augment
from wsnet.data.boxes import crop_boxes
from wsnet.data.colour import greyscale, jittered
from wsnet.data.crop import resized

__all__ = ["Pixels", "coloured"]


class Pixels:
    """Crops, flips, colour jitter and greyscale of a batch of bytes.

    Attributes:
        height: rows of the images that come out.
        width: their columns.
    """

    def __init__(
        self, config: AugmentConfig, *, seed: int, height: int, width: int, device: torch.device | str = "cpu"
    ) -> None:
        """Prepare them.

        Args:
            config: what to change.
            seed: the trial's seed.
            height: rows of an image.
            width: columns of an image.
            device: where the images are.
        """
        self.config, self.seed = config, seed
        crop = config.random_resized_crop
        self.height, self.width = (height, width) if crop is None or crop.size is None else (crop.size, crop.size)
        self._augment = Augment(config, height=self.height, width=self.width, device=device)

    def variants(self, epoch: int, samples: Tensor) -> Tensor:
        """See `Augment.variants`."""
        return self._augment.variants(self.seed, epoch, samples)

    def __call__(self, images: Tensor, variants: Tensor, epoch: int, samples: Tensor) -> Tensor:
        """Change a batch.

        Args:
            images: uint8 (B, H, W, C), contiguous.
            variants: what `variants` gives for these samples, on the images' device.
            epoch: the epoch.
            samples: int64 (B,), on the CPU.

        Returns:
            uint8 (B, height, width, C), contiguous.
        """
        config = self.config
        if config.random_resized_crop is not None:
            _, height, width, _ = images.shape
            boxes = crop_boxes(config.random_resized_crop, self.seed, epoch, samples, height=height, width=width)
            planes = resized(images.permute(0, 3, 1, 2), boxes, height=self.height, width=self.width)
            images = planes.permute(0, 2, 3, 1).contiguous()
        return coloured(self._augment(images, variants), config, self.seed, epoch, samples)


def coloured(images: Tensor, config: AugmentConfig, seed: int, epoch: int, samples: Tensor) -> Tensor:
    """Colour jitter and greyscale of a batch, where they are asked for.

    Args:
        images: uint8 (B, H, W, C), contiguous.
        config: what to change.
        seed: the trial's seed.
        epoch: the epoch.
        samples: int64 (B,), on the CPU.

    Returns:
        uint8 (B, H, W, C), contiguous.
    """
    if config.color_jitter is None and not config.greyscale:
        return images
    planes = images.permute(0, 3, 1, 2).contiguous()  # Colours are faster plane by plane.
    if config.color_jitter is not None:
        planes = jittered(planes, config.color_jitter, seed, epoch, samples)
    if config.greyscale:
        planes = greyscale(planes, config.greyscale, seed, epoch, samples)
    return planes.permute(0, 2, 3, 1).contiguous()
