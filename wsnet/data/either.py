"""Batches of a split, whether its images are in memory or streamed from their files."""

from collections.abc import Iterator
from typing import Any

import torch

from wsnet.data import batches
from wsnet.data.batches import Batch, TensorSet
from wsnet.data.files import ImageFiles
from wsnet.data.images import ImageSet
from wsnet.data.streaming import StreamedBatches, streamed_evaluation
from wsnet.data.training import Batches

__all__ = ["evaluation_batches", "on_device", "training_batches"]


def on_device(split: ImageSet | TensorSet | ImageFiles, device: torch.device | str) -> TensorSet | ImageFiles:
    """Put a split on a device (see `wsnet.data.batches.on_device`); a streamed one stays where it is."""
    return split if isinstance(split, ImageFiles) else batches.on_device(split, device)


def training_batches(split: ImageSet | TensorSet | ImageFiles, **options: Any) -> Batches | StreamedBatches:
    """`Batches` or `StreamedBatches`, which have the same options."""
    return StreamedBatches(split, **options) if isinstance(split, ImageFiles) else Batches(split, **options)


def evaluation_batches(
    split: ImageSet | TensorSet | ImageFiles, *, workers: int = 0, **options: Any
) -> Iterator[Batch]:
    """See `wsnet.data.batches.evaluation_batches`; worker processes prepare batches of a streamed split only."""
    if isinstance(split, ImageFiles):
        return streamed_evaluation(split, workers=workers, **options)
    return batches.evaluation_batches(split, **options)
