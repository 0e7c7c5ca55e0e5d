"""Random rectangles, one for each image, and which elements of a batch they cover.

Boxes are int64 (B, 4): top, left, height, width, in pixels; they may reach beyond the image, and cover nothing where
the height is 0. They are drawn on the CPU, in float64, so that they are the same wherever the images are.
"""

import math

import torch
from torch import Tensor

from wsnet.config.augment import CutoutConfig, RandomErasingConfig, RandomResizedCropConfig
from wsnet.data.random import uniforms

__all__ = ["covered", "crop_boxes", "cutout_boxes", "erasing_boxes", "square_boxes", "uncovered"]

_ATTEMPTS = 10
"""As in torchvision: so often a box is drawn until it fits into the image."""


def cutout_boxes(
    config: CutoutConfig, seed: int, epoch: int, samples: Tensor, *, height: int, width: int, purpose: str = "cutout"
) -> Tensor:
    """Cutout's squares.

    Args:
        config: size, probability, overhang.
        seed: the trial's seed.
        epoch: the epoch.
        samples: int64 (B,), on the CPU.
        height: rows of an image.
        width: columns of an image.
        purpose: names the draw.
    """
    draws = uniforms(seed, purpose, epoch, samples, 3)
    boxes = square_boxes(config.size, draws[:, :2], height=height, width=width, overhang=config.overhang)
    boxes[:, 2] *= draws[:, 2] < config.probability
    return boxes


def square_boxes(size: int, draws: Tensor, *, height: int, width: int, overhang: bool) -> Tensor:
    """Squares with their centres anywhere in the image, or anywhere that leaves them inside.

    The centre of a square of odd size is a pixel, that of an even size a corner of pixels, edges included (this is the
    later version of the image classification system; the paper's code leaves the last corner out).

    Args:
        size: pixels of a side.
        draws: float64 (B, 2) in [0, 1).
        height: rows of an image.
        width: columns of an image.
        overhang: whether they may hang over the edge.
    """
    sides = torch.tensor([height, width])
    places, first = (sides + (size + 1) % 2, -(size // 2)) if overhang else (sides - size + 1, 0)
    corners = (draws * places).long() + first
    return torch.cat([corners, torch.full_like(corners, size)], dim=1)


def erasing_boxes(
    config: RandomErasingConfig, seed: int, epoch: int, samples: Tensor, *, height: int, width: int
) -> Tensor:
    """Random Erasing's rectangles; arguments as for `cutout_boxes`."""
    draws = uniforms(seed, "erasing", epoch, samples, 2 * _ATTEMPTS + 3)
    sizes, places, chosen = draws[:, : 2 * _ATTEMPTS], draws[:, -3:-1], draws[:, -1]
    area, aspect = _areas_and_aspects(sizes, config.area, config.aspect, log_aspect=config.log_aspect)
    heights = (area * (height * width) * aspect).sqrt().round().long()
    widths = (area * (height * width) / aspect).sqrt().round().long()
    boxes, fits = _first_that_fits(heights, widths, (heights < height) & (widths < width))
    boxes = _placed(boxes, places, height, width)
    boxes[:, 2] *= fits & (chosen < config.probability)
    return boxes


def crop_boxes(
    config: RandomResizedCropConfig, seed: int, epoch: int, samples: Tensor, *, height: int, width: int
) -> Tensor:
    """The crops that are to be resized; arguments as for `cutout_boxes`.

    Where none of the attempts fits, the crop is the largest central one within the bounds of the ratio.
    """
    draws = uniforms(seed, "resized crop", epoch, samples, 2 * _ATTEMPTS + 2)
    area, ratio = _areas_and_aspects(draws[:, :-2], config.scale, config.ratio, log_aspect=True)
    widths = (area * (height * width) * ratio).sqrt().round().long()
    heights = (area * (height * width) / ratio).sqrt().round().long()
    allowed = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    boxes, fits = _first_that_fits(heights, widths, allowed)
    boxes = _placed(boxes, draws[:, -2:], height, width)
    central_height = min(height, max(1, round(width / config.ratio[0])))
    central_width = min(width, max(1, round(height * config.ratio[1])))
    central = [(height - central_height) // 2, (width - central_width) // 2, central_height, central_width]
    return torch.where(fits[:, None], boxes, torch.tensor(central))


def covered(boxes: Tensor, images: Tensor) -> Tensor:
    """Which elements lie in the boxes: 1 inside, 0 outside.

    Numbers and not booleans, since sums and products of floats are several times faster on a CPU than a choice: 0.1 ms
    against 0.5 ms for 128 x 3 x 32 x 32 on one thread. With 0 and 1 they are exact.

    Args:
        boxes: int64 (B, 4), or (1, 4) for all images; anywhere.
        images: (B, C, H, W), contiguous or channels_last.

    Returns:
        float32, on the images' device, (B or 1, 1, H, W), or with C channels for images that are channels_last: a mask
        in the layout of the images costs less than one that is broadcast along the innermost dimension.
    """
    _, channels, height, width = images.shape
    top, left, rows, columns = boxes.to(images.device, non_blocking=True).unbind(1)
    inside_rows = _between(top, rows, height)[:, :, None]
    inside_columns = _between(left, columns, width)
    if images.is_contiguous():
        return (inside_rows * inside_columns[:, None, :])[:, None]
    wide = inside_columns.repeat_interleave(channels, 1)
    return (inside_rows * wide[:, None, :]).view(-1, height, width, channels).permute(0, 3, 1, 2)


def uncovered(boxes: Tensor, images: Tensor) -> Tensor:
    """1 outside the boxes, 0 inside; see `covered`."""
    return covered(boxes, images).neg_().add_(1)  # In place: fresh memory for a batch costs more than the sum.


def _between(first: Tensor, count: Tensor, length: int) -> Tensor:
    places = torch.arange(length, device=first.device)
    return ((places >= first[:, None]) & (places < (first + count)[:, None])).float()


def _areas_and_aspects(
    draws: Tensor, area: tuple[float, float], aspect: tuple[float, float], *, log_aspect: bool
) -> tuple[Tensor, Tensor]:
    """Every attempt's area and aspect, (B, attempts) each."""
    areas = area[0] + (area[1] - area[0]) * draws[:, :_ATTEMPTS]
    low, high = (math.log(bound) for bound in aspect) if log_aspect else aspect
    aspects = low + (high - low) * draws[:, _ATTEMPTS:]
    return areas, aspects.exp() if log_aspect else aspects


def _first_that_fits(heights: Tensor, widths: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """The first allowed size of each image, (B, 2), and whether there is one."""
    first = allowed.int().argmax(1, keepdim=True)
    return torch.cat([heights.gather(1, first), widths.gather(1, first)], dim=1), allowed.any(1)


def _placed(sizes: Tensor, draws: Tensor, height: int, width: int) -> Tensor:
    """Boxes of these sizes (B, 2) at random places inside the image."""
    room = torch.tensor([height, width]) - sizes + 1
    return torch.cat([(draws * room).long(), sizes], dim=1)
