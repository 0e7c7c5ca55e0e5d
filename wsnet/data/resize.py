"""A part of each image, resized to one size: bilinear with antialiasing, for a whole batch at once.

Resizing is linear in each direction, so a crop is two products of matrices, each image with matrices of its own. The
weights are whole numbers of 11 bits and the pixels of 8, so that every product and sum is exact, in TensorFloat-32 too:
the result is the same to the last bit on every device and in every batch.
"""

import torch
from torch import Tensor

__all__ = ["resized"]

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
