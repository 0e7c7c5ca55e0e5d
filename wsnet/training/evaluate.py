"""Loss and errors on a split."""

import contextlib
from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch
from torch import nn
from torch.nn import functional as F

from wsnet.data import Batch
from wsnet.training.meter import Measured, Meter

__all__ = ["autocast", "evaluate"]


def evaluate(
    model: nn.Module, batches: Iterable[Batch], *, device: torch.device, precision: str = "float32"
) -> Measured:
    """Measure a model on batches, in eval mode and without gradients.

    Args:
        model: maps (B, C, H, W) to logits (B, classes); its mode is put back.
        batches: the split's batches; with several workers, this worker's share.
        device: where model and batches are.
        precision: as in `train.precision`.

    Returns:
        Means over the whole split, over all workers.
    """
    meter = Meter(device)
    training = model.training
    model.eval()
    with torch.no_grad(), autocast(device, precision):
        for batch in batches:
            logits = model(batch.images)
            meter.add(F.cross_entropy(logits, batch.labels), logits, batch.labels)
    model.train(training)
    return meter.read()


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Automatic mixed precision where the precision asks for it."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()
