"""One forward and one backward of online normalization, as autograd sees them."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsnet.layers import online_norm_kernels as kernels
from wsnet.layers import online_norm_torch as plain
from wsnet.layers.online_norm_maths import OnlineNormOptions, Statistics

__all__ = ["evaluated", "online_normalize"]

Pair = tuple[Tensor, Tensor]


def online_normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: Pair,
    gradient_state: Pair,
    options: OnlineNormOptions,
) -> Tensor:
    """Normalize in training: moves the statistics (mean, variance) now and the gradient state (u, v) in backward.

    Args:
        x: (N, C, *), contiguous or channels_last.
        weight: (C,) or None.
        bias: (C,) or None.
        statistics: running mean and variance (C,).
        gradient_state: u and v (C,).
        options: of the layer.
    """
    out: Tensor = _OnlineNormalize.apply(x, weight, bias, *statistics, *gradient_state, options)
    return out


def evaluated(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, statistics: Pair, options: OnlineNormOptions
) -> Tensor:
    """Normalize in evaluation: the statistics are constants, and the gradient is the plain one."""
    wants_gradient = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias))
    if not wants_gradient and _implementation(x, weight, statistics[0]) is kernels:
        return kernels.forward(x, (weight, bias), statistics, options, frozen=True)[0]
    return plain.evaluate(x, (weight, bias), statistics, options)


class _OnlineNormalize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        u: Tensor,
        v: Tensor,
        options: OnlineNormOptions,
    ) -> Tensor:
        out, saved = _implementation(x, weight, mean).forward(x, (weight, bias), (mean, variance), options)
        ctx.save_for_backward(x, weight, bias, *saved)
        ctx.state, ctx.options = (u, v), options
        # A view that a function of ours gives may not be written to, as activations do in place; its data may.
        result: Tensor = out if torch.compiler.is_compiling() else out.data
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight, bias, *saved = ctx.saved_tensors
        grad_in, grad_weight, grad_bias = _implementation(x, weight, ctx.state[0]).backward(
            grad, x, (weight, bias), Statistics(*saved), ctx.state, ctx.options, needs_input=ctx.needs_input_grad[0]
        )
        grad_weight, grad_bias = (None if weight is None else grad_weight), (None if bias is None else grad_bias)
        return grad_in, grad_weight, grad_bias, None, None, None, None, None


def _implementation(x: Tensor, weight: Tensor | None, state: Tensor) -> Any:
    """The module whose `forward` and `backward` take these tensors."""
    return kernels if not torch.compiler.is_compiling() and kernels.serves(x, weight, state) else plain
