"""Colour jitter and greyscale of a batch; each image has its own factors and its own order of changes.

The changes are those of torchvision v2 on uint8 tensors. In each turn, a change runs on the images that are due for
it; these are chosen on the CPU, so that nothing waits for the device.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from wsnet.config.augment import AugmentConfig, ColorJitterConfig
from wsnet.data.random import Draws

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "coloured",
    "grey",
    "greyscale",
    "jittered",
]

_Adjust = Callable[[Tensor, Tensor], Tensor]


def coloured(images: Tensor, config: AugmentConfig, draws: Draws) -> Tensor:
    """Colour jitter, then greyscale, as configured.

    Args:
        images: uint8 (B, H, W, C), contiguous.
        config: the augmentation.
        draws: the random numbers of the samples (B,), on the CPU.

    Returns:
        uint8 (B, H, W, C), contiguous.
    """
    if config.color_jitter is None and not config.greyscale:
        return images
    planes = images.permute(0, 3, 1, 2).contiguous()  # Colour changes are faster on planes.
    if config.color_jitter is not None:
        planes = jittered(planes, config.color_jitter, draws)
    if config.greyscale:
        planes = greyscale(planes, config.greyscale, draws)
    return planes.permute(0, 2, 3, 1).contiguous()


def jittered(images: Tensor, config: ColorJitterConfig, draws: Draws) -> Tensor:
    """Change brightness, contrast, saturation and hue.

    Args:
        images: uint8 (B, C, H, W) with 1 or 3 channels, in any layout.
        config: the ranges of the factors, and the probability.
        draws: the random numbers of the samples (B,), on the CPU.

    Returns:
        uint8 (B, C, H, W).
    """
    drawn = draws.uniforms("colour jitter", 9)
    order = drawn[:, :4].argsort(dim=1)
    changed = drawn[:, 8] < config.probability
    values = images.float()
    for turn in range(4):
        for number, (adjust, low, high) in enumerate(_changes(config)):
            chosen = (changed & (order[:, turn] == number)).nonzero().flatten()
            if low == high or not len(chosen):
                continue
            factors = low + (high - low) * drawn[chosen, 4 + number]
            where = chosen.to(values.device, non_blocking=True)
            part = values.index_select(0, where)
            values.index_copy_(0, where, adjust(part, factors.to(values.device, non_blocking=True)))
    return values.to(torch.uint8)


def greyscale(images: Tensor, probability: float, draws: Draws) -> Tensor:
    """Turn some images grey, keeping their channels; arguments as for `jittered`."""
    chosen = (draws.uniforms("greyscale", 1)[:, 0] < probability).nonzero().flatten()
    if not len(chosen):
        return images
    where = chosen.to(images.device, non_blocking=True)
    part = grey(images.index_select(0, where).float()).to(torch.uint8)
    return images.index_copy(0, where, part.expand(-1, images.shape[1], -1, -1))


def _changes(config: ColorJitterConfig) -> tuple[tuple[_Adjust, float, float], ...]:
    """Each change with its smallest and largest factor."""
    return (
        (adjust_brightness, max(0.0, 1 - config.brightness), 1 + config.brightness),
        (adjust_contrast, max(0.0, 1 - config.contrast), 1 + config.contrast),
        (adjust_saturation, max(0.0, 1 - config.saturation), 1 + config.saturation),
        (adjust_hue, -config.hue, config.hue),
    )


# Below, images are float32 (B, C, H, W) with integer levels 0 to 255, and factors float64 (B,).


def grey(images: Tensor) -> Tensor:
    """Luma (ITU-R BT.601), rounded down to integer levels, (B, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    return (red * 0.2989 + green * 0.587 + blue * 0.114).floor_()


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply by the factor."""
    return (images * _per_image(factors)).clamp_(0, 255).floor_()


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with the image's mean grey: away from it for a factor above 1, towards it below."""
    levels = grey(images)
    # A sum of integers is exact, so that the mean does not depend on the batch or the device.
    mean = levels.long().sum((1, 2, 3), keepdim=True).double() / levels[0].numel()
    return _blended(images, mean.float(), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blend with each pixel's grey: away from it for a factor above 1, towards it below."""
    return images if images.shape[1] == 1 else _blended(images, grey(images), factors)


def adjust_hue(images: Tensor, factors: Tensor) -> Tensor:
    """Rotate the hue by the factor, in units of a full turn."""
    if images.shape[1] == 1:
        return images
    red, green, blue = (images / 255).unbind(1)
    value, low = images.amax(1) / 255, images.amin(1) / 255
    chroma = value - low
    spread = torch.where(chroma == 0, 1, chroma)
    # The hue in sixths of the circle: red 0, green 2, blue 4.
    sixth = torch.where(value == blue, 4 + (red - green) / spread, 2 + (blue - red) / spread)
    sixth = torch.where(value == green, 2 + (blue - red) / spread, sixth)
    sixth = torch.where(value == red, (green - blue) / spread, sixth)
    turned = sixth + 6 * factors.float()[:, None, None]
    # A channel is at its maximum within a sixth of its hue, falls over the next sixth, and is at its minimum beyond.
    parts = torch.stack([turned + 5, turned + 3, turned + 1], dim=1).remainder_(6)
    fall = torch.minimum(parts, 4 - parts).clamp_(0, 1)
    return ((value[:, None] - chroma[:, None] * fall) * 255.999).floor_()


def _blended(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    # Not a fused multiply-add: two separate roundings give the same bits on every device.
    return (images * _per_image(factors)).add_(others * _per_image(1 - factors)).clamp_(0, 255).floor_()


def _per_image(factors: Tensor) -> Tensor:
    return factors.float()[:, None, None, None]
