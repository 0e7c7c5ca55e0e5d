"""Layer normalization of feature maps (Ba et al. 2016)."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LayerNorm2d"]


class LayerNorm2d(nn.Module):
    """Normalizes each image over channels, height and width, then scales and shifts.

        y = (x - mean) / sqrt(var + eps) * weight + bias        (mean and biased var over C, H, W)

    The output has the input's memory format. One of torch's fused kernels does it all: with channels_last input, a
    separate `addcmul` for the affine map per element took 3 to 6 times as long (CPU, forward and backward, 32x64x8x8 to
    32x256x16x16), because it mixes two memory layouts.

    Args:
        channels: C.
        size: H x W.
        affine: a scale and shift per element, per channel, or none.
        eps: added to the variance under the root.
        replicates: networks side by side, each with C / replicates of the channels and its own mean and variance.

    Attributes:
        weight, bias: C x H x W with an affine map per element, C with one per channel, None without.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        affine: Literal["element", "channel", "none"] = "element",
        eps: float = 1e-5,
        replicates: int = 1,
    ) -> None:
        super().__init__()
        self.affine = affine
        self.eps = eps
        self.replicates = replicates
        self.shape = (channels, *size)
        shape = self.shape if affine == "element" else (channels,)
        self.weight = nn.Parameter(torch.ones(shape)) if affine != "none" else None
        self.bias = nn.Parameter(torch.zeros(shape)) if affine != "none" else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x, N x C x H x W."""
        if self.affine != "element":
            return F.group_norm(x, self.replicates, self.weight, self.bias, self.eps)
        assert self.weight is not None and self.bias is not None
        if self.replicates > 1:  # The fused kernel has one affine map, the same for all that it normalizes.
            layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
            weight, bias = (p[None].contiguous(memory_format=layout) for p in (self.weight, self.bias))
            return torch.addcmul(bias, F.group_norm(x, self.replicates, eps=self.eps), weight).to(x.dtype)
        if x.is_contiguous():
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        # channels_last is N x H x W x C in memory; the statistics do not depend on the order of the elements.
        weight, bias = (p.permute(1, 2, 0).contiguous() for p in (self.weight, self.bias))
        y = F.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias, self.eps)
        # The compiler sees the whole graph, in which a view costs nothing.
        return y.permute(0, 3, 1, 2) if torch.compiler.is_compiling() else _ChannelsSecond.apply(y)

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"{self.shape}, affine={self.affine}, eps={self.eps}"


class _ChannelsSecond(torch.autograd.Function):
    """N x H x W x C to N x C x H x W in channels_last, the same memory.

    To autograd the result is no view, because the backward of an in-place activation of a view makes two copies.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        return y.permute(0, 3, 1, 2).data

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.permute(0, 2, 3, 1)
