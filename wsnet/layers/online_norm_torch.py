"""Forward and backward of online normalization from torch operations: for any device and dtype."""

from typing import Any

import torch
from torch import Tensor

from wsnet.layers import online_norm_maths as maths
from wsnet.layers import online_norm_passes as passes
from wsnet.layers import online_norm_passes_cpu as passes_cpu
from wsnet.layers.online_norm_maths import OnlineNormOptions, Statistics

__all__ = ["backward", "evaluate", "forward"]

Pair = tuple[Tensor, Tensor]
Affine = tuple[Tensor | None, Tensor | None]


def forward(x: Tensor, affine: Affine, state: Pair, options: OnlineNormOptions) -> tuple[Tensor, Statistics]:
    """As `online_norm_kernels.forward`."""
    axis = passes.pixel_axis(x)
    view = passes.view_of(x, axis)
    mean, variance = _passes(x).moments(view, axis)
    old = state[0].double(), state[1].double()
    stats, new = maths.run_forward(mean.double(), variance.double(), old, options)
    scale, shift, zeta = maths.output_coefficients(stats, *_affine(affine, mean), options)
    out = _passes(x).output(view, mean, scale, shift, axis, options.clamp if options.clamping else None)
    for buffer, value in zip(state, maths.finite_or(new, state), strict=True):
        buffer.copy_(value)
    return passes.view_restored(out, x, axis), Statistics(stats, zeta)


def backward(
    grad: Tensor,
    x: Tensor,
    affine: Affine,
    saved: Statistics,
    state: Pair,
    options: OnlineNormOptions,
    *,
    needs_input: bool = True,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """As `online_norm_kernels.backward`."""
    axis = passes.pixel_axis(x)
    view, grad = passes.view_of(x, axis), passes.view_of(passes.in_layout_of(x, grad), axis)
    mean = saved.stats[0] if x.dtype == torch.float64 else saved.stats[0].float()
    weight, bias = _affine(affine, mean)
    if options.clamping:
        scale, shift, _ = maths.output_coefficients(saved.stats, weight, bias, options)
        grad = _passes(x).clipped(grad, view, mean, scale, shift, axis, options.clamp)
    first, second = _passes(x).gradient_moments(grad, view, mean, axis)
    old = state[0].double(), state[1].double()
    found = maths.input_coefficients(
        first.double(), second.double(), view.shape[axis], saved, (weight, bias), old, options
    )
    grad_in = None
    if needs_input:
        grad_in = _passes(x).input_gradient(grad, view, mean, found.gain, found.slope, found.offset, axis)
        grad_in = passes.view_restored(grad_in, x, axis)
    for buffer, value in zip(state, maths.finite_or((found.u, found.v), state), strict=True):
        buffer.copy_(value)
    dtype = maths.affine_dtype(affine)
    return grad_in, found.weight.to(dtype), found.bias.to(dtype)


def evaluate(x: Tensor, affine: Affine, state: Pair, options: OnlineNormOptions) -> Tensor:
    """The evaluation mode, differentiable."""
    axis = passes.pixel_axis(x)
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    weight, shift = _affine(affine, state[0])
    scale = (state[1].double() + options.eps).rsqrt() * weight
    mean, scale, shift = (
        values.to(wide).unsqueeze(-1) if axis == 2 else values.to(wide) for values in (state[0], scale, shift)
    )
    z = (passes.view_of(x, axis).to(wide) - mean) * scale + shift
    if options.clamping:
        z = z.clamp(-options.clamp, options.clamp)
    if options.layer_scaling:
        group = options.group_size or x.shape[1]
        square = z.square().mean(axis).unflatten(1, (-1, group)).mean(2) + options.layer_scale_eps
        z = z * square.rsqrt().repeat_interleave(group, 1).unsqueeze(axis)
    return passes.view_restored(z.to(x.dtype), x, axis)


def _passes(x: Tensor) -> Any:
    """The module whose passes suit this tensor. The compiler fuses the plain ones."""
    eager_cpu = x.is_cpu and not torch.compiler.is_compiling()
    return passes_cpu if eager_cpu and x.dtype != torch.float64 and x.numel() > 0 else passes


def _affine(affine: Affine, like: Tensor) -> Pair:
    return _or_fill(affine[0], like, 1), _or_fill(affine[1], like, 0)


def _or_fill(values: Tensor | None, like: Tensor, value: float) -> Tensor:
    """The parameter in float64, or a constant (1,) where the layer has none."""
    return torch.full((1,), value, dtype=torch.float64, device=like.device) if values is None else values.double()
