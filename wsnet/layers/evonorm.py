"""EvoNorm-S0 (Liu et al. 2020, arXiv:2004.02967): normalization and activation in one."""

import torch
from torch import Tensor, nn

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
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        var = wide.unflatten(1, (self.groups, -1)).var((2, 3, 4), correction=0)  # N x groups
        reciprocal = (var + self.eps).rsqrt().repeat_interleave(x.shape[1] // self.groups, 1)[:, :, None, None]
        activated = wide * torch.sigmoid(self.v[:, None, None] * wide)
        return torch.addcmul(self.bias[:, None, None], activated, reciprocal * self.weight[:, None, None]).to(x.dtype)

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"{len(self.weight)}, groups={self.groups}, eps={self.eps}"


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
        return torch.addcmul(self.bias[:, None, None], x, self.weight[:, None, None]).to(x.dtype)
