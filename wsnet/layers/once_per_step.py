"""Filters computed once for all micro-batches of a step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from wsnet.layers.reparametrized import ReparametrizedConv2d

__all__ = ["once_per_step"]


@contextmanager
def once_per_step(model: nn.Module) -> Iterator[None]:
    """Compute reparametrized filters once, for every forward and backward pass inside.

        with once_per_step(model):
            for images, labels in micro_batches:
                loss(model(images), labels).backward()
        optimizer.step()

    Inside, the filters are leaves, which collect their gradients; at the end these go back to the parameters at once.
    The result is that of every pass on its own, up to rounding, since the gradient of a sum is the sum of gradients.
    Until then `weight.grad` is not there yet: step the optimizer, and clip gradients, after the end. Parameters must
    not change inside. DistributedDataParallel must not wrap the model: it would look for the gradients too early.

    Args:
        model: any; what it has of convolutions with plain weights is left alone.
    """
    convs = [module for module in model.modules() if isinstance(module, ReparametrizedConv2d)]
    computed = [conv.filters() for conv in convs]
    held = [filters.detach().requires_grad_(filters.requires_grad) for filters in computed]
    for conv, leaf in zip(convs, held, strict=True):
        assert conv.held is None, "once_per_step can not be nested"
        conv.held = leaf
    try:
        yield
    finally:
        for conv in convs:
            conv.held = None
    used = [index for index, leaf in enumerate(held) if leaf.grad is not None]
    if used:
        torch.autograd.backward([computed[index] for index in used], [held[index].grad for index in used])
