"""Mixup, CutMix and RICAP: mix the images of a batch, and their labels accordingly.

Each image is mixed with one partner (RICAP: three), the images at its position in random permutations of the batch.
The mixing parameters are drawn on the CPU, once per batch (as published) or once per image. Below, D is the number of
draws: 1 or B.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from wsnet.config.augment import AugmentConfig, CutMixConfig, MixupConfig, RicapConfig
from wsnet.data.boxes import covered
from wsnet.data.random import Draws, beta

__all__ = ["Mixed", "cutmix", "cutmix_boxes", "mixed", "mixup", "partners_needed", "ricap", "ricap_patches"]


class Mixed(NamedTuple):
    """Mixed images.

    Attributes:
        images: (B, C, H, W), in the memory layout of the input.
        shares: float64 (D, parts), on the CPU: fraction that comes from the image itself, then from each partner.
    """

    images: Tensor
    shares: Tensor


def partners_needed(config: AugmentConfig) -> int:
    """Number of partners of each image; 0 without mixing."""
    return 3 if config.ricap is not None else int(config.mixes)


def mixed(
    images: Tensor,
    labels: Tensor,
    partners: Tensor,
    config: AugmentConfig,
    *,
    draws: Draws,
    step: int,
    classes: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mix a batch.

    Args:
        images: float32 (P, C, H, W): the rank's own B images, then any further partners. Overwritten.
        labels: int64 (P,).
        partners: int64 (partners, B), on the CPU: indices into `images`.
        config: how to mix.
        draws: the random numbers of the own images' samples (B,), on the CPU.
        step: the step within the epoch.
        classes: number of classes.

    Returns:
        The mixed images (B, C, H, W); the label of each one's largest part, int64 (B,); and the soft labels, float32
        (B, classes).
    """
    what = config.mixup or config.cutmix or config.ricap
    assert what is not None
    if what.per == "batch":  # One draw for all: the step takes the place of the sample index.
        draws = draws._replace(samples=torch.tensor([step]))
    sources = torch.cat([torch.arange(partners.shape[1])[None], partners])
    where = sources.to(images.device, non_blocking=True)
    if isinstance(what, MixupConfig):
        found = mixup(images, where, beta(what.alpha, draws.uniforms("mixup", 1)[:, 0]))
    elif isinstance(what, CutMixConfig):
        height, width = images.shape[2:]
        boxes = cutmix_boxes(what, draws.uniforms("cutmix", 4), height=height, width=width)
        found = cutmix(images, where, boxes)
    else:
        height, width = images.shape[2:]
        patches = ricap_patches(what, draws.uniforms("ricap", 10), height=height, width=width)
        found = ricap(images, where, patches)
    return (found.images, *_mixed_labels(labels[where], found.shares, classes))


def mixup(images: Tensor, sources: Tensor, shares: Tensor) -> Mixed:
    """Weighted sums of two images (Zhang et al. 2018, equation 1).

    Args:
        images: (P, C, H, W); overwritten.
        sources: int64 (2, B), on the device: indices of the images and of their partners.
        shares: float64 (D,), on the CPU: lambda.
    """
    rows = _rows(images)
    own, other = shares.float()[:, None].to(images.device), (1 - shares).float()[:, None].to(images.device)
    # Not a fused multiply-add: two separate roundings give the same bits on every device.
    sums = rows.index_select(0, sources[1]).mul_(other).add_(rows[: sources.shape[1]].mul_(own))
    return Mixed(_like(sums, images), torch.stack([shares, 1 - shares], dim=1))


def cutmix_boxes(config: CutMixConfig, draws: Tensor, *, height: int, width: int) -> Tensor:
    """The partner's box: int64 (D, 4), clipped to the image (Yun et al. 2019, algorithm A1; as in torchvision).

    Args:
        config: alpha and probability.
        draws: float64 (D, 4) in [0, 1).
        height: rows of an image.
        width: columns of an image.
    """
    sides = torch.tensor([height, width])
    half = ((1 - beta(config.alpha, draws[:, 0])).sqrt()[:, None] * 0.5 * sides).long()
    centre = (draws[:, 1:3] * sides).long()
    first, last = (centre - half).clamp(min=0), torch.minimum(centre + half, sides)
    boxes = torch.cat([first, last - first], dim=1)
    boxes[:, 2] *= draws[:, 3] < config.probability
    return boxes


def cutmix(images: Tensor, sources: Tensor, boxes: Tensor) -> Mixed:
    """Replace a box in each image by its partner's pixels; arguments as for `mixup`, boxes from `cutmix_boxes`."""
    inside = covered(boxes, images)
    partners = _like(_rows(images).index_select(0, sources[1]), images)
    other = (boxes[:, 2] * boxes[:, 3]).double() / (images.shape[2] * images.shape[3])
    mixed = partners.mul_(inside).add_(images[: sources.shape[1]].mul_(inside.neg_().add_(1)))
    return Mixed(mixed, torch.stack([1 - other, other], dim=1))


def ricap_patches(config: RicapConfig, draws: Tensor, *, height: int, width: int) -> Tensor:
    """Where the patches meet, and where each is cropped from (Takahashi et al. 2018, algorithm 1).

    Args:
        config: beta.
        draws: float64 (D, 10) in [0, 1).
        height: rows of an image.
        width: columns of an image.

    Returns:
        int64 (D, 5, 2): row and column where the four patches meet, then the top left corner of each patch (top left,
        top right, bottom left, bottom right) in its source image.
    """
    sides = torch.tensor([height, width])
    meet = (beta(config.beta, draws[:, :2]) * sides).round().long()
    sizes = _patch_sizes(meet, sides)
    corners = (draws[:, 2:].view(-1, 4, 2) * (sides - sizes + 1)).long()
    return torch.cat([meet[:, None], corners], dim=1)


def ricap(images: Tensor, sources: Tensor, patches: Tensor) -> Mixed:
    """Fill each image's corners with four crops; as `mixup`, with sources (4, B) and patches of `ricap_patches`."""
    _, channels, height, width = images.shape
    sides = torch.tensor([height, width])
    areas = _patch_sizes(patches[:, 0], sides).prod(2)
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    cut = patches.to(images.device, non_blocking=True)
    below = rows >= cut[:, 0, :1]  # (D, H)
    right = columns >= cut[:, 0, 1:]  # (D, W)
    patch = (2 * below[:, :, None] + right[:, None, :]).flatten(1)  # (D, H * W)
    corner = cut[:, 1:].gather(1, patch[:, :, None].expand(-1, -1, 2)).view(-1, height, width, 2)
    row = (rows - below * cut[:, 0, :1])[:, :, None] + corner[..., 0]
    column = (columns - right * cut[:, 0, 1:])[:, None, :] + corner[..., 1]
    batch = sources.shape[1]
    source = sources.t().gather(1, patch.expand(batch, -1))
    pixels = source * (height * width) + (row * width + column).flatten(1)
    values = images.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, pixels.flatten())
    patched = values.view(batch, height, width, channels).permute(0, 3, 1, 2)
    if images.is_contiguous():
        patched = patched.contiguous()
    return Mixed(patched, areas.double() / (height * width))


def _patch_sizes(meet: Tensor, sides: Tensor) -> Tensor:
    """Height and width of each patch, (D, 4, 2)."""
    rest = sides - meet
    heights = torch.stack([meet[:, 0], meet[:, 0], rest[:, 0], rest[:, 0]], dim=1)
    widths = torch.stack([meet[:, 1], rest[:, 1], meet[:, 1], rest[:, 1]], dim=1)
    return torch.stack([heights, widths], dim=2)


def _mixed_labels(labels: Tensor, shares: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Combine the labels (parts, B) of all parts: the label of the largest part, and soft labels by share."""
    parts, batch = labels.shape
    largest = shares.argmax(1).expand(batch).to(labels.device, non_blocking=True)
    weights = shares.float().to(labels.device, non_blocking=True).expand(batch, parts)
    targets = torch.zeros(batch, classes, device=labels.device)
    for part in range(parts):  # One at a time: two parts may have the same label.
        targets.scatter_add_(1, labels[part][:, None], weights[:, part : part + 1])
    return labels.gather(0, largest[None])[0], targets


def _rows(images: Tensor) -> Tensor:
    """A view of each image as one row in memory order, the fastest form to gather and add."""
    return images.flatten(1) if images.is_contiguous() else images.permute(0, 2, 3, 1).flatten(1)


def _like(rows: Tensor, images: Tensor) -> Tensor:
    """Reshape rows to images in the memory layout of `images`."""
    _, channels, height, width = images.shape
    if images.is_contiguous():
        return rows.view(-1, channels, height, width)
    return rows.view(-1, height, width, channels).permute(0, 3, 1, 2)
