"""EvoNorm-S0 (Liu et al. 2020, arXiv:2004.02967): normalization and activation in one."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["ChannelAffine", "EvoNormS0"]


class EvoNormS0(nn.Module):
    """Statistics of each image over groups of channels.

        y = x * sigmoid(v * x) / sqrt(var + eps) * weight + bias        (biased var over C / groups, H, W)

    Attributes:
        weight, bias, v: C.
    """

    def __init__(self, channels: int, groups: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.v = nn.Parameter(torch.ones(channels))
        self.initial_values = {"weight": 1.0, "bias": 0.0, "v": 1.0}

    def forward(self, x: Tensor) -> Tensor:
        """Normalize and activate x, N x C x H x W."""
        y: Tensor = _EvoNormS0.apply(x, self.weight, self.bias, self.v, self.groups, self.eps)
        return y

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"{len(self.weight)}, groups={self.groups}, eps={self.eps}"


class _EvoNormS0(torch.autograd.Function):
    """The normalization, differentiated by hand: it keeps x alone for backward, and makes half of autograd's passes.

    With k = 1 / sqrt(var + eps), s = sigmoid(v x), h = x s, g = dL/dy and M elements in a group:

        dL/dx = weight k g s (1 + v (x - h)) - k^3 / M (x - mean) sum_group(weight g h)
        dL/dweight = sum(k g h),    dL/dbias = sum(g),    dL/dv = weight sum(k g h (x - h))        (over N, H, W)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, v: Tensor, groups: int, eps: float) -> Tensor:
        wide = _wide(x)
        mean = _over_groups(wide.mean((2, 3), keepdim=True), groups) / (x.shape[1] // groups)
        scratch = wide - mean
        var = scratch.square_().mean((2, 3), keepdim=True)
        k = (_over_groups(var, groups) / (x.shape[1] // groups) + eps).rsqrt()
        ctx.save_for_backward(x, weight, v, mean, k)
        ctx.groups = groups
        activated = torch.mul(wide, v[:, None, None], out=scratch).sigmoid_().mul_(wide)
        return torch.addcmul(bias[:, None, None], activated, k * weight[:, None, None], out=scratch).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        x, weight, v, mean, k = ctx.saved_tensors
        v, scale = v[:, None, None], k * weight[:, None, None]
        g, wide = _wide(grad), _wide(x)
        s = (wide * v).sigmoid_()
        h = wide * s
        rest = wide - h
        product = h.mul_(g)
        along = product.sum((2, 3), keepdim=True)
        of_v = (scale * product.mul_(rest).sum((2, 3), keepdim=True)).sum((0, 2, 3))
        of_activation = torch.addcmul(scale, rest, scale * v, out=rest).mul_(s)
        elements = x[0].numel() // ctx.groups
        radial = -k.pow(3) / elements * _over_groups(weight[:, None, None] * along, ctx.groups)
        of_x = torch.addcmul(-radial * mean, wide, radial, out=product).addcmul_(of_activation, g)
        return of_x.to(x.dtype), (k * along).sum((0, 2, 3)), g.sum((0, 2, 3)), of_v, None, None


def _over_groups(values: Tensor, groups: int) -> Tensor:
    """Sums over the channels of each group, for each channel: N x C x 1 x 1 to N x C x 1 x 1."""
    members = values.shape[1] // groups
    sums: Tensor = values.unflatten(1, (groups, members)).sum(2)
    return sums.repeat_interleave(members, 1)


def _wide(values: Tensor) -> Tensor:
    """Half precision to float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class ChannelAffine(nn.Module):
    """A scale and shift per channel, which replaces EvoNorm where no activation follows, as in its authors' code.

    Attributes:
        weight, bias: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift x, N x C x H x W."""
        y: Tensor = _Affine.apply(x, self.weight, self.bias)
        return y


class _Affine(torch.autograd.Function):
    """x * weight + bias, differentiated by hand: dL/dx = g weight, dL/dweight = sum(g x), dL/dbias = sum(g)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.addcmul(bias[:, None, None], _wide(x), weight[:, None, None]).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        g = _wide(grad)
        scratch = g * _wide(x)
        of_weight = scratch.sum((0, 2, 3))
        of_x = torch.mul(g, weight[:, None, None], out=scratch)
        return of_x.to(x.dtype), of_weight, g.sum((0, 2, 3))
