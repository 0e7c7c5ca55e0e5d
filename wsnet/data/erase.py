"""Cutout, dual cutout and Random Erasing of normalized images: a box in each image is filled."""

import torch
from torch import Tensor

from wsnet.config.augment import AugmentConfig, CutoutConfig, DualCutoutConfig, RandomErasingConfig
from wsnet.data.boxes import covered, cutout_boxes, erasing_boxes, uncovered
from wsnet.data.random import Draws, random_bits

__all__ = ["dual_cutout", "erased"]


def erased(images: Tensor, config: AugmentConfig, draws: Draws) -> Tensor:
    """Cutout, then Random Erasing, in place.

    Args:
        images: float32 (B, C, H, W), contiguous or channels_last, normalized.
        config: the augmentation.
        draws: the random numbers of the samples (B,), on the CPU.

    Returns:
        `images`.
    """
    height, width = images.shape[2:]
    if config.cutout is not None:
        boxes = cutout_boxes(config.cutout, draws, height=height, width=width)
        _clear(images, boxes)
    if config.random_erasing is not None:
        boxes = erasing_boxes(config.random_erasing, draws, height=height, width=width)
        _fill(images, boxes, config.random_erasing, draws)
    return images


def dual_cutout(images: Tensor, config: DualCutoutConfig, draws: Draws) -> Tensor:
    """Two views of each image, next to each other: (2B, C, H, W), the views of image i at 2i and 2i + 1."""
    square = CutoutConfig(size=config.size)
    height, width = images.shape[2:]
    boxes = [cutout_boxes(square, draws, height=height, width=width, purpose=f"dual cutout {view}") for view in (1, 2)]
    # Repeated in memory order, which keeps the layout.
    views = images.permute(0, 2, 3, 1).repeat_interleave(2, 0).permute(0, 3, 1, 2)
    if images.is_contiguous():
        views = views.contiguous()
    _clear(views, torch.stack(boxes, 1).view(-1, 4))
    return views


def _fill(images: Tensor, boxes: Tensor, config: RandomErasingConfig, draws: Draws) -> None:
    if config.value == "per_pixel":
        chosen = boxes[:, 2].nonzero().flatten()
        if not len(chosen):
            return
        where = chosen.to(images.device, non_blocking=True)
        noise = _normals(images[where], draws.at(chosen))
        _clear(images, boxes)
        images[where] += noise.mul_(covered(boxes[chosen], noise))
        return
    values = torch.full((1, 1), config.value) if isinstance(config.value, float | int) else None
    if values is None:
        values = draws.uniforms("erasing value", 1).float()
    if images.device.type == "cpu":
        _write(images, boxes, values.expand(len(images), 1).flatten().tolist())
        return
    inside = covered(boxes, images)
    images.mul_(1 - inside).add_(inside.mul_(values.to(images.device, non_blocking=True)[:, :, None, None]))


def _clear(images: Tensor, boxes: Tensor) -> None:
    """Write zeros into the boxes, in place."""
    if images.device.type == "cpu":
        _write(images, boxes, [0.0] * len(images))
    else:
        images.mul_(uncovered(boxes, images))


def _write(images: Tensor, boxes: Tensor, values: list[float]) -> None:
    """Write a value into each image's box, in place, on the CPU: NumPy slices touch only the boxes, 1 us each."""
    arrays = images.permute(0, 2, 3, 1).numpy()
    for array, (top, left, height, width), value in zip(arrays, boxes.tolist(), values, strict=True):
        array[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = value


def _normals(like: Tensor, draws: Draws) -> Tensor:
    """Standard normal values, shaped like the images; the same in every layout."""
    elements = torch.arange(like[0].numel(), device=like.device).view(like.shape[1:])
    counters = draws.samples.to(like.device)[:, None, None, None] * like[0].numel() + elements
    shares = ((random_bits(draws.key("erasing noise"), counters) >> 10).double() + 0.5) * 2.0**-53
    noise = torch.empty_like(like)
    return noise.copy_(torch.special.ndtri(shares))
