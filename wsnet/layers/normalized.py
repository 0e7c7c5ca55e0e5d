"""Weight normalization (Salimans & Kingma 2016, arXiv:1602.07868)."""

from typing import Any

import torch
from torch import Tensor, nn

from wsnet.layers.over_workers import moments
from wsnet.layers.reparametrized import ReparametrizedConv2d

__all__ = ["NormalizedConv2d", "initialize_from_data", "normalize"]


class NormalizedConv2d(ReparametrizedConv2d):
    """A convolution whose filters are g v / ||v||, one gain g and direction v for each.

    The direction is the parameter `weight` of a plain convolution, by name, shape and initial value, and the gain
    begins at its norm: so a network begins as the plain one of the same seed does.

    Attributes:
        weight: the directions v, out x in/groups x kH x kW.
        g: the gains, out.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.g = nn.Parameter(torch.empty(self.out_channels, device=self.weight.device, dtype=self.weight.dtype))
        self.reset_gain()

    @torch.no_grad()
    def reset_gain(self) -> None:
        """Set g to ||v||."""
        self.g.copy_(filter_norms(self.weight))

    def filters(self) -> Tensor:
        """The normalized filters."""
        return normalize(self.weight, self.g)


def normalize(v: Tensor, g: Tensor) -> Tensor:
    """g v / ||v|| for each output filter (equation 2).

    Args:
        v: out x in/groups x kH x kW.
        g: out.

    Returns:
        The filters, in the shape and memory format of v.
    """
    return v * (g / filter_norms(v))[:, None, None, None]


def filter_norms(v: Tensor) -> Tensor:
    """||v|| of each output filter."""
    norms: Tensor = torch.linalg.vector_norm(v, dim=(1, 2, 3))
    return norms


@torch.no_grad()
def initialize_from_data(model: nn.Module, images: Tensor) -> None:
    """Set gain and bias of each normalized convolution from a batch (section 3, equations 5 and 6), in place.

    With m and s the mean and standard deviation of what a channel's filter gives for the batch, g becomes g / s and the
    bias -m / s, so that the channel leaves with mean 0 and variance 1. In the order of the forward pass: each
    convolution sees what those before it give after their own initialization. Where several workers share the batch,
    the statistics are of all of it. A gain of zero (`residual_init`) stays zero.

    Args:
        model: a model, just initialized; its normalized convolutions have a bias.
        images: the first batch, N x channels x H x W.
    """

    def standardize_output(conv: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        assert isinstance(conv, NormalizedConv2d) and conv.bias is not None
        _, mean, var = moments(output)
        std = var.sqrt()
        # A filter that gives nothing or the same everywhere has no scale to set.
        scale = torch.where(std > 0, std.reciprocal(), 1)
        conv.g.mul_(scale)
        conv.bias.sub_(mean).mul_(scale)
        return (output - mean[:, None, None]) * scale[:, None, None]

    hooks = [m.register_forward_hook(standardize_output) for m in model.modules() if isinstance(m, NormalizedConv2d)]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
