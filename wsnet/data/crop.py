"""Random resized crops: drawn for each image from (seed, epoch, image), and cut out for a whole batch at once."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsnet.config.data import AugmentConfig
from wsnet.config.seeding import derive_seed
from wsnet.data.random import random_integers, uniform

__all__ = ["Draw", "RandomCrops", "resized"]

_ONE = 2048
"""A weight of 1; the largest whole number up to which TensorFloat-32 has all of them."""


def resized(images: Tensor, boxes: Tensor, *, height: int, width: int) -> Tensor:
    """Resize a box of each image, as `torchvision.transforms.v2.functional.resized_crop` does, as exactly.

    Args:
        images: uint8 (B, C, H, W) in any layout.
        boxes: int64 (B, 4): top, left, height, width, inside the images.
        height: rows of the result.
        width: columns of the result.

    Returns:
        uint8 (B, C, height, width), contiguous.
    """
    top, left, rows, columns = boxes.to(images.device, non_blocking=True).unbind(1)
    # As in Pillow and torchvision: columns first, and whole levels in between.
    values = images.float().contiguous()
    values = _resampled(values, left, columns, width)
    values = _resampled(values.transpose(2, 3), top, rows, height).transpose(2, 3)
    return values.to(torch.uint8).contiguous()


def _resampled(values: Tensor, first: Tensor, count: Tensor, length: int) -> Tensor:
    """Resample the last dimension: `count` values from `first` become `length`, rounded to whole levels."""
    weights = _weights(first, count, values.shape[-1], length)  # (B, length, before)
    sums = torch.matmul(values, weights.transpose(1, 2)[:, None])
    return (sums / weights.sum(2)[:, None, None, :]).round_()


def _weights(first: Tensor, count: Tensor, before: int, after: int) -> Tensor:
    """A triangle around each new pixel's centre, as wide as the wider of an old and a new pixel: (B, after, before)."""
    scale = (count.double() / after)[:, None, None]
    places = torch.arange(before, device=first.device)
    centres = first[:, None, None] + (torch.arange(after, device=first.device)[:, None] + 0.5) * scale
    heights = (1 - (places + 0.5 - centres).abs() / scale.clamp(min=1)).clamp_(min=0)
    inside = (places >= first[:, None]) & (places < (first + count)[:, None])
    heights *= inside[:, None, :]
    return (heights / heights.sum(2, keepdim=True) * _ONE).round().float()


_ATTEMPTS = 10
_SCALE, _RATIO = (0.08, 1.0), (3 / 4, 4 / 3)

Box = tuple[int, int, int, int]
"""Top, left, height, width."""


class Draw(NamedTuple):
    """What chance decides about one image.

    Attributes:
        uniform: 10 attempts of (area, ratio, top, left), each uniform in [0, 1).
        is_mirrored: whether left and right change sides.
    """

    uniform: list[list[float]]
    is_mirrored: bool


class RandomCrops:
    """A crop of random area and aspect ratio (C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015).

    The rule is that of torchvision's RandomResizedCrop: up to 10 attempts at an area of `scale` of the image's with a
    ratio of width to height in `ratio` (uniform on a log scale), then the largest middle part with a ratio in it.
    """

    def __init__(self, augment: AugmentConfig, seed: int) -> None:
        """Take the options.

        Args:
            augment: `random_resized_crop` gives scale and ratio, `flip` mirrors half of the images.
            seed: the trial's seed.
        """
        options = augment.random_resized_crop
        self.scale = _SCALE if options is None else options.scale
        self.ratio = _RATIO if options is None else options.ratio
        self.flip, self.seed = augment.flip, seed

    def draws(self, epoch: int, samples: Sequence[int] | NDArray[np.int64]) -> list[Draw]:
        """Draw for samples of the training set; depends on (seed, epoch, sample) only."""
        counters = torch.as_tensor(samples, dtype=torch.int64)
        attempts = counters[:, None] * (4 * _ATTEMPTS) + torch.arange(4 * _ATTEMPTS)
        numbers = uniform(derive_seed(self.seed, "random_resized_crop", epoch), attempts).view(-1, _ATTEMPTS, 4)
        mirrored = random_integers(derive_seed(self.seed, "flip", epoch), counters, 2) * self.flip
        return [Draw(*both) for both in zip(numbers.tolist(), mirrored.bool().tolist(), strict=True)]

    def box(self, draw: Draw, height: int, width: int) -> Box:
        """The crop of an image of this size."""
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for area, ratio, top, left in draw.uniform:
            target = height * width * (self.scale[0] + area * (self.scale[1] - self.scale[0]))
            aspect = math.exp(low + ratio * (high - low))
            rows, columns = round(math.sqrt(target / aspect)), round(math.sqrt(target * aspect))
            if 0 < rows <= height and 0 < columns <= width:
                return int(top * (height - rows + 1)), int(left * (width - columns + 1)), rows, columns
        rows = min(height, round(width / self.ratio[0]))
        columns = min(width, round(height * self.ratio[1]))
        return (height - rows) // 2, (width - columns) // 2, rows, columns
