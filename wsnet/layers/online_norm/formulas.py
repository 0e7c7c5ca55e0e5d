"""Online normalization in torch operations: the formulas of Chiley et al. 2019 (arXiv 1905.05894), without a loop.

They are the reference for the C++ kernels (kernel.cpp), and they run on GPUs, for float64, or without a C++ compiler.
In the paper forward and backward are loops over the samples. Here a recurrence x[n+1] = a[n] x[n] + b[n] is one matrix
product where a is constant, and log2 N steps of doubling where it varies.

All quantities of shape (N, C) are float64: in float32 the doubling gives NaN where the paper's loop stays finite. (The
recurrence cannot be solved in logarithms: the coefficient of v may be negative at a cold start.) Per-pixel operations
are float32 or better, rounded once; they first subtract the sample's mean, which may far exceed the deviations from it.

Several replicates (networks side by side) each have C / replicates of the channels: layer scaling is over those of one.

Shapes: N samples, C channels, D pixels. A `view` is x as (N, C, D), or as (N, D, C) if it is channels_last; `axis` is
its dimension of pixels, 2 or 1. Names, here and in kernel.cpp:

    mean, variance   of each sample's pixels, (N, C)
    m, var           the running mean and variance before each sample, (N, C), and after the last
    inverse, d       1 / sqrt(var + eps) and mean - m, (N, C)
    scale, shift     output = scale * (x - mean) + shift, (N, C)
    zeta             layer scaling's divisor, (N, replicates)
    *_z              of z, the output before that division
    first, second    means over the pixels of grad and of grad * (x - mean), (N, C)
    along            part of the gradient along the output, which layer scaling removes, (N, replicates)
    slope, offset    gradient of x = scale * grad + slope * (x - mean) + offset, (N, C)
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["backward", "evaluate", "forward", "recurrence"]

LAYER_SCALE_EPS = 1e-5
"""Added to the mean square under layer scaling's root; also in kernel.cpp."""
CLAMP = 5.0
"""Largest absolute value that activation clamping lets through; also in kernel.cpp."""


def forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    forward_decay: float,
    eps: float,
    error_compensation: str,
    replicates: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize in training, and update the running mean and variance in place.

    Args:
        x: (N, C, *), contiguous or channels_last.
        weight: (C,) or None.
        bias: (C,) or None.
        running_mean: (C,).
        running_var: (C,).
        forward_decay: see `OnlineNorm`, like the next two. A Python float: 1 - float32(0.999) is off by 1.3e-5.
        eps: added to the variance.
        error_compensation: "ls", "ac" or "none".
        replicates: networks side by side.

    Returns:
        The output, in the layout of x; and for `backward`, in float64: stats (4, N, C), which are mean, variance,
        inverse and d; and zeta.
    """
    axis, a = _pixel_axis(x), forward_decay
    view = _view_of(x, axis)
    mean, variance = _moments(view, axis)
    m = recurrence(a, (1 - a) * mean, running_mean.double())
    d = mean - m[:-1]
    var = recurrence(a, (1 - a) * (variance + a * d.square()), running_var.double())
    stats = torch.stack([mean, variance, (var[:-1] + eps).rsqrt(), d])
    scale_z, shift_z = _coefficients_of_z(stats, _filled(weight, x, 1), _filled(bias, x, 0))
    zeta = scale_z.new_ones(len(scale_z), replicates)
    if error_compensation == "ls":
        square = _layer_mean(scale_z.square() * variance + shift_z.square(), replicates)
        zeta = (square + LAYER_SCALE_EPS).sqrt()
    divisor = _spread(zeta, mean)
    out = _scaled(view, mean, scale_z / divisor, shift_z / divisor, axis)
    if error_compensation == "ac":
        out = out.clamp_(-CLAMP, CLAMP)
    _keep(running_mean, running_var, m[-1], var[-1], replicates)
    return _restored(out.to(x.dtype), x, axis), stats, zeta


def backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    stats: Tensor,
    zeta: Tensor,
    u: Tensor,
    v: Tensor,
    backward_decay: float,
    error_compensation: str,
    replicates: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias; updates u and v (C,) in place.

    Args:
        grad: the gradient of the output.
        x: the input of `forward`, like weight and bias.
        weight: (C,) or None.
        bias: (C,) or None.
        stats: from `forward`.
        zeta: likewise.
        u: (C,), the sum that makes the gradient orthogonal to the constant.
        v: (C,), the sum that makes it orthogonal to the output.
        backward_decay: see `OnlineNorm`, like the next.
        error_compensation: "ls", "ac" or "none".
        replicates: networks side by side.
    """
    axis, b = _pixel_axis(x), backward_decay
    # While tracing, the gradient may have another layout than x.
    grad = grad.contiguous(memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last)
    view, g = _view_of(x, axis), _view_of(grad, axis)
    mean, variance, inverse, d = stats.unbind()
    gamma = _filled(weight, x, 1)
    divisor = _spread(zeta, mean)
    scale, shift = (values / divisor for values in _coefficients_of_z(stats, gamma, _filled(bias, x, 0)))
    if error_compensation == "ac":  # No gradient passes where the output was clamped.
        g = g.masked_fill(_scaled(view, mean, scale, shift, axis).abs_() >= CLAMP, 0)
    first, second = _gradient_moments(g, view, mean, axis)
    along, first_z, second_z = torch.zeros_like(scale), first, second
    if error_compensation == "ls":  # No gradient passes along the output itself.
        along = _spread(_layer_mean(scale * second + shift * first, replicates), mean)
        first_z, second_z = (first - along * shift) / divisor, (second - along * scale * variance) / divisor
    dot = (second_z + d * first_z) * inverse  # The mean over the pixels of the normalized sample times its gradient.
    vs = recurrence(1 - (1 - b) * (variance + d.square()) * inverse.square(), gamma * dot, v.double())
    pull = (1 - b) * vs[:-1] * inverse.square()
    us = recurrence(b, gamma * inverse * first_z - pull * d, u.double())
    slope = -pull - along * scale.square()
    offset = -pull * d - along * scale * shift - (1 - b) * us[:-1]
    grad_in = _scaled(view, mean, slope, offset, axis).addcmul_(_wide(g), _wide(scale, view).unsqueeze(axis))
    _keep(u, v, us[-1], vs[-1], replicates)
    dtype = torch.float32 if weight is None else weight.dtype
    grad_weight, grad_bias = ((view.shape[axis] * summand.sum(0)).to(dtype) for summand in (dot, first_z))
    return _restored(grad_in.to(x.dtype), x, axis), grad_weight, grad_bias


def evaluate(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    eps: float,
    error_compensation: str,
    replicates: int = 1,
) -> Tensor:
    """Normalize in evaluation, with the plain gradient; the arguments are those of `forward`."""
    axis, wide = _pixel_axis(x), torch.float64 if x.dtype == torch.float64 else torch.float32
    factor = (running_var.double() + eps).rsqrt() * _filled(weight, x, 1)
    m, scale_z, shift_z = (
        values.to(wide).unsqueeze(-1) if axis == 2 else values.to(wide)
        for values in (running_mean, factor, _filled(bias, x, 0))
    )
    z = (_view_of(x, axis).to(wide) - m) * scale_z + shift_z
    if error_compensation == "ac":
        z = z.clamp(-CLAMP, CLAMP)
    if error_compensation == "ls":
        square = _layer_mean(z.square().mean(axis), replicates) + LAYER_SCALE_EPS
        z = z * _spread(square.rsqrt(), running_mean).unsqueeze(axis)
    return _restored(z.to(x.dtype), x, axis)


def _coefficients_of_z(stats: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """z = scale_z * (x - mean) + shift_z, (N, C) each."""
    _, _, inverse, d = stats.unbind()
    scale_z = weight * inverse
    return scale_z, scale_z * d + bias


def _layer_mean(values: Tensor, replicates: int) -> Tensor:
    """Means over each replicate's channels: (N, C) to (N, replicates)."""
    if replicates == 1:
        return values.mean(1, keepdim=True)
    mean: Tensor = values.unflatten(1, (replicates, -1)).mean(2)
    return mean


def _spread(values: Tensor, channels: Tensor) -> Tensor:
    """Values of each replicate, (N, replicates), in a shape that broadcasts with (N, C); `channels` is (..., C)."""
    replicates = values.shape[1]
    return values if replicates == 1 else values.repeat_interleave(channels.shape[-1] // replicates, 1)


# ---- Recurrences over samples.


def recurrence(coefficient: float | Tensor, added: Tensor, start: Tensor) -> Tensor:
    """x[0] = start, x[n+1] = coefficient[n] * x[n] + added[n]: all x, (N + 1, C)."""
    values = torch.cat([start[None], added])
    if isinstance(coefficient, float) and len(added) <= 256:  # Above that, the matrix would be large.
        # Traced tensors must not be cached.
        powers: Callable[..., Tensor] = _powers if type(added) is Tensor else _powers.__wrapped__
        return powers(coefficient, len(added), added.device) @ values
    factors = torch.zeros_like(added) + coefficient
    # Doubling (Hillis and Steele 1986): values[n] is the sum of its last `reach` terms, and factors[n - 1] is the
    # product of the coefficients that carry values[n - reach] over to it.
    reach = 1
    while reach < len(values):
        values = torch.cat([values[:reach], values[reach:] + factors[reach - 1 :] * values[:-reach]])
        factors = torch.cat([factors[:reach], factors[reach:] * factors[:-reach]])
        reach *= 2
    return values


@lru_cache(maxsize=64)
def _powers(decay: float, count: int, device: torch.device) -> Tensor:
    """The lower triangle of decay^(row - column), (count + 1, count + 1)."""
    index = torch.arange(count + 1, dtype=torch.float64, device=device)
    return torch.pow(decay, (index[:, None] - index).clamp(min=0)).tril()


def _keep(first: Tensor, second: Tensor, new_first: Tensor, new_second: Tensor, replicates: int) -> None:
    """Write the new state to the buffers if all of it is finite, so that one bad step does not spoil all later ones."""
    values = [value.to(first.dtype) for value in (new_first, new_second)]
    if replicates == 1:
        fine = torch.isfinite(values[0]).all() & torch.isfinite(values[1]).all()  # Needs no synchronization.
    else:
        finite = (torch.isfinite(values[0]) & torch.isfinite(values[1])).unflatten(0, (replicates, -1))
        fine = finite.all(1, keepdim=True).expand_as(finite).flatten()
    for buffer, value in zip((first, second), values, strict=True):
        buffer.copy_(torch.where(fine, value, buffer))


# ---- Passes over the pixels. On a CPU in eager mode some operations are slow: `torch.var_mean` takes longer than a
# whole batch norm. Group norm's backward sums rows fast.


def _moments(view: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of the pixels, computed in float32 or better: (N, C), float64."""
    wide = _wide(view)
    if _is_eager_on_cpu(view):
        mean = wide.mean(axis)
        variance = (wide - mean.unsqueeze(axis)).square_().mean(axis)
    else:
        variance, mean = torch.var_mean(wide, axis, correction=0)
    return mean.double(), variance.double()


def _gradient_moments(grad: Tensor, view: Tensor, mean: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Means over the pixels of grad and of grad * (x - mean): (N, C), float64."""
    g, wide = _wide(grad), _wide(view)
    if not _is_eager_on_cpu(view):
        return g.mean(axis).double(), (g * (wide - _wide(mean, view).unsqueeze(axis))).mean(axis).double()
    if axis == 1:
        first, second = g.mean(1).double(), (g * wide).mean(1).double()
    else:
        samples, channels, pixels = view.shape
        size = samples * channels
        zero, one, ones = wide.new_zeros(1, size), wide.new_ones(1, size), wide.new_ones(size)
        # With mean 0 and deviation 1 the gradients of the scale and the shift are the sums of grad * x and of grad.
        _, second, first = torch.ops.aten.native_group_norm_backward(
            *(values.view(1, size, pixels) for values in (g, wide)),
            zero,
            one,
            ones,
            1,
            size,
            pixels,
            size,
            [False, True, True],
        )
        first, second = (values.view(samples, channels).double() / pixels for values in (first, second))
    return first, second - first * mean


def _scaled(view: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, axis: int) -> Tensor:
    """`scale * (x - mean) + shift` as a new tensor, in float32 or better; mean, scale, shift are (N, C), float64."""
    wide = _wide(view)
    if not _is_eager_on_cpu(view):
        mean, scale, shift = (_wide(values, view).unsqueeze(axis) for values in (mean, scale, shift))
        return (wide - mean).mul_(scale).add_(shift)
    shift, scale = (shift - scale * mean).float(), scale.float()
    return torch.addcmul(shift.unsqueeze(axis), wide, scale.unsqueeze(axis))


def _is_eager_on_cpu(view: Tensor) -> bool:
    traced = type(view) is not Tensor  # The compiler fuses the plain operations.
    return view.is_cpu and not traced and view.dtype != torch.float64 and view.numel() > 0


# ---- Layouts and dtypes.


def _pixel_axis(x: Tensor) -> int:
    return 2 if x.is_contiguous() else 1


def _view_of(x: Tensor, axis: int) -> Tensor:
    if axis == 1:
        return x.movedim(1, -1).flatten(1, -2)
    return x.flatten(2) if x.dim() > 2 else x[:, :, None]


def _restored(view: Tensor, like: Tensor, axis: int) -> Tensor:
    """A view, back in the shape of the tensor that it was made from."""
    if axis == 2:
        return view.view(like.shape)
    return view.view(like.shape[0], *like.shape[2:], like.shape[1]).movedim(-1, 1)


def _filled(values: Tensor | None, x: Tensor, absent: float) -> Tensor:
    """The parameter in float64, or a constant (1,) where the layer has none."""
    return torch.full((1,), absent, dtype=torch.float64, device=x.device) if values is None else values.double()


def _wide(values: Tensor, view: Tensor | None = None) -> Tensor:
    """Pixels in float32 or better; or coefficients (float64) in the dtype that the view is computed in."""
    dtype = (values if view is None else view).dtype
    return values if dtype == torch.float64 else values.float()
