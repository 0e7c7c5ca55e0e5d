"""Random resized crops (C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015): which part, and its resizing.

Images in memory have one size and are cropped a batch at a time, by `resized_crops`. Images of files differ in size and
are cropped one by one, by `resized_crop` (in evaluation `centre_crop`). `CropAttempts` chooses the crop of either.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wsnet.config.augment import RandomResizedCropConfig
from wsnet.data.boxes import ATTEMPTS, Floats, Integers, first_that_fits, scaled
from wsnet.data.random import Draws, uniform

__all__ = ["CropAttempts", "centre_crop", "crop_attempts", "file_crop_attempts", "resized_crop", "resized_crops"]


class CropAttempts(NamedTuple):
    """The random part of each image's crop, independent of the image's size.

    The rule is that of torchvision's RandomResizedCrop: the first of 10 attempts at an area and a ratio that fits into
    the image, otherwise the largest central crop within the bounds of the ratio.

    Attributes:
        areas: float64 (B, 10), as fractions of the image's area.
        ratios: float64 (B, 10), of width to height.
        places: float64 (B, 10 or 1, 2), in [0, 1): top and left, as fractions of the free space.
        bounds: smallest and largest ratio.
    """

    areas: Floats
    ratios: Floats
    places: Floats
    bounds: tuple[float, float]

    def boxes(self, height: int, width: int) -> Integers:
        """The crops of images that all have this size.

        Returns:
            int64 (B, 4): top, left, height, width.
        """
        heights, widths, fits = _sizes(self.areas, self.ratios, height, width)
        boxes = first_that_fits(heights, widths, fits, self.places, height, width)
        boxes[~fits.any(1)] = self._central(height, width)
        return boxes

    def box(self, image: int, height: int, width: int) -> tuple[int, int, int, int]:
        """One image's crop, the same as by `boxes` in a tenth of the time; needs a place for each attempt."""
        for area, ratio, (top, left) in zip(self.areas[image], self.ratios[image], self.places[image], strict=True):
            rows, columns, fits = _sizes(area, ratio, height, width)
            if fits:
                return int(top * (height - rows + 1)), int(left * (width - columns + 1)), int(rows), int(columns)
        return self._central(height, width)

    def _central(self, height: int, width: int) -> tuple[int, int, int, int]:
        rows = min(height, max(1, round(width / self.bounds[0])))
        columns = min(width, max(1, round(height * self.bounds[1])))
        return (height - rows) // 2, (width - columns) // 2, rows, columns


def _sizes(areas: Any, ratios: Any, height: int, width: int) -> tuple[Any, Any, Any]:
    """Integer-valued heights and widths of attempts, and which fit; for arrays or for a single attempt."""
    areas = areas * (height * width)
    heights, widths = np.rint(np.sqrt(areas / ratios)), np.rint(np.sqrt(areas * ratios))
    return heights, widths, (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)


def crop_attempts(config: RandomResizedCropConfig, draws: Draws) -> CropAttempts:
    """The crops of images in memory.

    Args:
        config: scale and ratio.
        draws: the random numbers of the samples (B,), on the CPU.
    """
    drawn = draws.uniforms("resized crop", 2 * ATTEMPTS + 2)
    return _attempts(config, drawn[:, :ATTEMPTS], drawn[:, ATTEMPTS:-2], drawn[:, None, -2:])


def file_crop_attempts(config: RandomResizedCropConfig, draws: Draws) -> CropAttempts:
    """The crops of image files; arguments as for `crop_attempts`.

    Drawn differently, as for the published results on streamed sets: a place for each attempt, in float32.
    """
    counters = draws.samples[:, None] * (4 * ATTEMPTS) + torch.arange(4 * ATTEMPTS)
    drawn = uniform(draws.key("random_resized_crop"), counters).double().view(-1, ATTEMPTS, 4)
    return _attempts(config, drawn[..., 0], drawn[..., 1], drawn[..., 2:])


def _attempts(config: RandomResizedCropConfig, areas: Tensor, ratios: Tensor, places: Tensor) -> CropAttempts:
    ratio = config.ratio
    return CropAttempts(scaled(areas, config.scale), scaled(ratios, ratio, log=True), places.numpy(), ratio)


# ---- One image of a file at a time, by torchvision's v2 functions on uint8 tensors: three times as fast as on PIL
# images, and never more than 1 of 255 away from their results.


def resized_crop(image: Tensor, box: tuple[int, int, int, int], size: int) -> Tensor:
    """A box (top, left, height, width) of an image, uint8 (C, H, W), resized to uint8 (C, size, size)."""
    from torchvision.transforms.v2 import functional as F

    cropped: Tensor = F.resized_crop(image, *box, [size, size], antialias=True)
    return cropped


def centre_crop(image: Tensor, size: int) -> Tensor:
    """An image resized to a shorter side of 8/7 of the size (256 for 224), then centre-cropped; as `resized_crop`."""
    from torchvision.transforms.v2 import functional as F

    cropped: Tensor = F.center_crop(F.resize(image, [round(size * 8 / 7)], antialias=True), [size, size])
    return cropped


# ---- A batch of images of one size.

_ONE = 2048
"""Fixed-point weight of 1: TensorFloat-32 represents every integer up to this one exactly."""


def resized_crops(images: Tensor, boxes: Tensor, *, height: int, width: int) -> Tensor:
    """Resize a box of each image like `torchvision.transforms.v2.functional.resized_crop`, and as accurately.

    Args:
        images: uint8 (B, C, H, W) in any layout.
        boxes: int64 (B, 4): top, left, height, width, inside the images.
        height: rows of the result.
        width: columns of the result.

    Returns:
        uint8 (B, C, height, width), contiguous.
    """
    top, left, rows, columns = boxes.to(images.device, non_blocking=True).unbind(1)
    # As in Pillow and torchvision: columns first, rounded to integer levels in between.
    values = images.float().contiguous()
    values = _resampled(values, left, columns, width)
    values = _resampled(values.transpose(2, 3), top, rows, height).transpose(2, 3)
    return values.to(torch.uint8).contiguous()


def _resampled(values: Tensor, first: Tensor, count: Tensor, length: int) -> Tensor:
    """Resample the last dimension: `count` values from `first` become `length`, rounded to integer levels."""
    weights = _weights(first, count, values.shape[-1], length)  # (B, length, before)
    sums = torch.matmul(values, weights.transpose(1, 2)[:, None])
    return (sums / weights.sum(2)[:, None, None, :]).round_()


def _weights(first: Tensor, count: Tensor, before: int, after: int) -> Tensor:
    """Triangle filter on each new pixel's centre, scaled to the larger of old and new pixel: (B, after, before)."""
    scale = (count.double() / after)[:, None, None]
    places = torch.arange(before, device=first.device)
    centres = first[:, None, None] + (torch.arange(after, device=first.device)[:, None] + 0.5) * scale
    heights = (1 - (places + 0.5 - centres).abs() / scale.clamp(min=1)).clamp_(min=0)
    inside = (places >= first[:, None]) & (places < (first + count)[:, None])
    heights *= inside[:, None, :]
    return (heights / heights.sum(2, keepdim=True) * _ONE).round().float()
