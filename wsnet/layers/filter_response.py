"""Filter response normalization and its activation (Singh & Krishnan 2020, arXiv:1911.09737)."""

import torch
from torch import Tensor, nn

__all__ = ["FilterResponseNorm2d", "ThresholdedLinearUnit"]


class FilterResponseNorm2d(nn.Module):
    """Divides each channel of each image by its root mean square; nothing is subtracted.

        y = x / sqrt(mean(x^2) + eps + |learned_eps|) * weight + bias        (mean over H, W)

    Attributes:
        weight, bias: C.
        learned_eps: C, or None where it is not learned.
    """

    def __init__(self, channels: int, *, eps: float = 1e-6, learned_eps: bool = False) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.learned_eps = nn.Parameter(torch.full((channels,), 1e-4)) if learned_eps else None
        self.initial_values = {"weight": 1.0, "bias": 0.0, "learned_eps": 1e-4}

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x, N x C x H x W."""
        eps = self.eps if self.learned_eps is None else self.eps + self.learned_eps.abs()[:, None, None]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = (wide.square().mean((2, 3), keepdim=True) + eps).rsqrt() * self.weight[:, None, None]
        return torch.addcmul(self.bias[:, None, None], wide, scale).to(x.dtype)

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"{len(self.weight)}, eps={self.eps}, learned_eps={self.learned_eps is not None}"


class ThresholdedLinearUnit(nn.Module):
    """TLU: max(x, tau), with a learned threshold per channel that starts at 0, where the TLU is the ReLU.

    Attributes:
        tau: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.zeros(channels))
        self.initial_values = {"tau": 0.0}

    def forward(self, x: Tensor) -> Tensor:
        """Threshold x, N x C x H x W."""
        return torch.maximum(x, self.tau.to(x.dtype)[:, None, None])
