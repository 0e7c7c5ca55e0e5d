"""Filter response normalization and its activation (Singh & Krishnan 2020, arXiv:1911.09737)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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
        y: Tensor = _FilterResponse.apply(x, self.weight, self.bias, self.learned_eps, self.eps)
        return y

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"{len(self.weight)}, eps={self.eps}, learned_eps={self.learned_eps is not None}"


class _FilterResponse(torch.autograd.Function):
    """The normalization, differentiated by hand: autograd makes twice as many passes over the maps.

    With k = 1 / sqrt(mean(x^2) + eps + |learned_eps|), g = dL/dy and p = mean(g x), means and sums over H, W:

        dL/dx = weight k (g - k^2 p x)
        dL/dweight = sum_n k sum(g x),    dL/dbias = sum_n sum(g)
        dL/dlearned_eps = -sign(learned_eps) weight / 2 sum_n k^3 sum(g x)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, learned_eps: Tensor | None, eps: float) -> Tensor:
        wide = _wide(x)
        added = eps if learned_eps is None else eps + learned_eps.abs()[:, None, None]
        scratch = wide.square()
        k = (scratch.mean((2, 3), keepdim=True) + added).rsqrt()  # N x C x 1 x 1
        ctx.save_for_backward(x, weight, learned_eps, k)
        return torch.addcmul(bias[:, None, None], wide, k * weight[:, None, None], out=scratch).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None, None]:
        x, weight, learned_eps, k = ctx.saved_tensors
        g, wide = _wide(grad), _wide(x)
        scratch = g * wide
        along = scratch.sum((2, 3), keepdim=True)
        of_weight = (k * along).sum((0, 2, 3))
        of_learned_eps = None
        if learned_eps is not None:
            of_learned_eps = (k.pow(3) * along).sum((0, 2, 3)) * weight * learned_eps.sign() / -2
        scale = k * weight[:, None, None]
        radial = -scale * k.square() * along / (x.shape[2] * x.shape[3])
        of_x = torch.mul(wide, radial, out=scratch).addcmul_(g, scale)
        return of_x.to(x.dtype), of_weight, g.sum((0, 2, 3)), of_learned_eps, None


class ThresholdedLinearUnit(nn.Module):
    """TLU: max(x, tau), with a learned threshold per channel that starts at 0, where the TLU is the ReLU.

    Attributes:
        tau: C.
        in_place: whether it writes into its input.
    """

    def __init__(self, channels: int, *, in_place: bool = False) -> None:
        super().__init__()
        self.in_place = in_place
        self.tau = nn.Parameter(torch.zeros(channels))
        self.initial_values = {"tau": 0.0}

    def forward(self, x: Tensor) -> Tensor:
        """Threshold x, N x C x H x W."""
        # The compiler does not trace what a Function writes into its input, and saves the memory by itself.
        y: Tensor = _Threshold.apply(x, self.tau, self.in_place and not torch.compiler.is_compiling())
        return y


class _Threshold(torch.autograd.Function):
    """y = max(x, tau), differentiated by hand: the masks of torch.maximum's backward are slow on CPUs.

    Kept for backward is y, as the next convolution keeps it, and not x as well. With g = dL/dy:

        dL/dx = g where y > tau, else 0 (as in ReLU),    dL/dtau = sum(g - dL/dx)        (sum over N, H, W)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, tau: Tensor, in_place: bool) -> Tensor:
        y = torch.maximum(x, tau.to(x.dtype)[:, None, None], out=x if in_place else None)
        if in_place:
            ctx.mark_dirty(x)
        ctx.save_for_backward(y, tau)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        y, tau = ctx.saved_tensors
        above = y - tau.to(y.dtype)[:, None, None]
        of_x = torch.ops.aten.threshold_backward.grad_input(g, above, 0, grad_input=above)
        of_tau = g.sum((0, 2, 3), dtype=tau.dtype) - of_x.sum((0, 2, 3), dtype=tau.dtype)
        return of_x, of_tau, None


def _wide(values: Tensor) -> Tensor:
    """Half precision to float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
