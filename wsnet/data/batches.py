"""A batch: the images, labels and weight that a step of training or evaluation gets, and the bytes it is made from."""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from wsnet.data.images import ImageFiles, ImageSet
from wsnet.data.sampler import BatchIndices

__all__ = ["Batch", "ByteBatch", "TensorSet", "on_device", "tensors_on"]


class Batch(NamedTuple):
    """One rank's share of a batch.

    Attributes:
        images: float32 (B, C, H, W), normalized; with dual cutout (2B, C, H, W), the views of image i at 2i and 2i + 1.
        labels: int64 (B,); for mixed images, the label of the largest part.
        weight: this rank's fraction of the batch times the number of ranks, so that the mean over ranks of
            `weight * mean loss` is the mean loss of the batch. 1 for a single process; 0 if the rank had no image left
            and got another rank's only to take part in the step.
        targets: float32 (B, classes), soft labels of mixed images; None if images are not mixed.
    """

    images: Tensor
    labels: Tensor
    weight: float
    targets: Tensor | None = None


class ByteBatch(NamedTuple):
    """The images of a training batch as bytes, cropped and flipped; `BatchTransform` turns it into a `Batch`.

    Attributes:
        images: uint8 (P, H, W, C), contiguous.
        labels: int64 (P,).
        indices: which images these are.
    """

    images: Tensor
    labels: Tensor
    indices: BatchIndices


class TensorSet(NamedTuple):
    """An `ImageSet` on a device: uint8 images (N, H, W, C), int64 labels (N,)."""

    images: Tensor
    labels: Tensor


def on_device(split: ImageSet | TensorSet | ImageFiles, device: torch.device | str) -> TensorSet | ImageFiles:
    """Put a split on a device; a streamed one is returned as it is.

    On the CPU the tensors are views of the mapped arrays. They must not be written to.
    """
    return split if isinstance(split, ImageFiles) else tensors_on(split, device)


def tensors_on(split: ImageSet | TensorSet, device: torch.device | str) -> TensorSet:
    """Put a split that is in memory on a device."""
    if isinstance(split, ImageSet):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable")
            split = TensorSet(torch.from_numpy(split.images), torch.from_numpy(split.labels))
    return TensorSet(split.images.to(device), split.labels.to(device))
