"""Random resized crops and mirror images, drawn for each image from (seed, epoch, image)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from wsnet.config.data import AugmentConfig
from wsnet.config.seeding import derive_seed
from wsnet.data.random import random_integers, uniform

__all__ = ["Draw", "RandomCrops"]

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
