"""Online normalization: the recurrences over samples and the coefficients of the elementwise passes, all (N, C).

Chiley et al., "Online Normalization for Training Neural Networks", 2019 (arXiv 1905.05894). Everything is float64 and
without a loop over samples: a recurrence x[n+1] = a[n] x[n] + b[n] is one matrix product where a is a constant, and
log2 N steps of doubling where it varies. The coefficient of v goes below zero at a cold start, so it has no logarithm;
in float32 the doubling gives NaN where the plain loop is finite.

Shapes: N samples, C channels, D pixels, G groups of channels that share their layer scaling (stacked models; mostly 1).
Each sample is normalized by the running statistics before it, m and var: s = sqrt(var + eps), d = mean - m.
Pixels are taken relative to their sample's mean throughout, since means may be far greater than deviations.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Gradients",
    "OnlineNormOptions",
    "Statistics",
    "affine_dtype",
    "finite_or",
    "input_coefficients",
    "output_coefficients",
    "run_forward",
]

Decay = float | Tensor


class OnlineNormOptions(NamedTuple):
    """What the maths needs to know of a layer."""

    forward_decay: Decay
    """Of the running mean and variance: a number, or float64 (C,)."""
    backward_decay: Decay
    """Of u and v: a number, or float64 (C,)."""
    eps: float
    """Added to the variance under the root."""
    error_compensation: str
    """Either "ls" (layer scaling), "ac" (activation clamping) or "none"."""
    layer_scale_eps: float
    """Added to the second moment under layer scaling's root."""
    clamp: float
    """Where "ac" clamps, in both directions."""
    group_size: int | None
    """Channels that share their layer scaling; None: all."""

    @property
    def layer_scaling(self) -> bool:
        """Whether each sample is divided by its root mean square."""
        return self.error_compensation == "ls"

    @property
    def clamping(self) -> bool:
        """Whether the output is clamped."""
        return self.error_compensation == "ac"


def affine_dtype(affine: tuple[Tensor | None, Tensor | None]) -> torch.dtype:
    """Of the gradients of weight and bias; float32 where the layer has none, and nobody looks at them."""
    return torch.float32 if affine[0] is None else affine[0].dtype


class Statistics(NamedTuple):
    """What backward needs of forward, float64."""

    stats: Tensor
    """(4, N, C): mean and variance of each sample's pixels; 1 / s; d."""
    zeta: Tensor
    """(N, G): layer scaling's divisor; 1 without."""


class Gradients(NamedTuple):
    """Coefficients (N, C) of grad_in = gain * grad + slope * (x - mean) + offset; then what each channel gets, (C,)."""

    gain: Tensor
    slope: Tensor
    offset: Tensor
    weight: Tensor
    bias: Tensor
    u: Tensor
    v: Tensor


def run_forward(
    mean: Tensor, variance: Tensor, state: tuple[Tensor, Tensor], options: OnlineNormOptions
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The running statistics before each sample.

    Args:
        mean: of each sample's pixels (N, C).
        variance: likewise, biased.
        state: running mean and variance (C,) before the first sample.
        options: of the layer.

    Returns:
        `Statistics.stats`, and the running mean and variance after the last sample.
    """
    a = options.forward_decay
    means = decayed(a, (1 - a) * mean, state[0])
    d = mean - means[:-1]
    variances = decayed(a, (1 - a) * (variance + a * d.square()), state[1])
    inverse = (variances[:-1] + options.eps).rsqrt()
    return torch.stack([mean, variance, inverse, d]), (means[-1], variances[-1])


def output_coefficients(
    stats: Tensor, weight: Tensor, bias: Tensor, options: OnlineNormOptions
) -> tuple[Tensor, Tensor, Tensor]:
    """Scale and shift (N, C) of out = scale * (x - mean) + shift, and `Statistics.zeta` (N, G)."""
    _, variance, inverse, d = stats.unbind()
    scale = weight * inverse
    shift = scale * d + bias
    group = options.group_size or scale.shape[1]
    zeta = scale.new_ones(scale.shape[0], scale.shape[1] // group)
    if options.layer_scaling:
        zeta = (_group_means(scale.square() * variance + shift.square(), group) + options.layer_scale_eps).sqrt()
        scale, shift = scale / _spread(zeta, group), shift / _spread(zeta, group)
    return scale, shift, zeta


def input_coefficients(
    first: Tensor,
    second: Tensor,
    pixels: int,
    saved: Statistics,
    affine: tuple[Tensor, Tensor],
    state: tuple[Tensor, Tensor],
    options: OnlineNormOptions,
) -> Gradients:
    """The backward pass, but for its two passes over the data.

    Args:
        first: mean of grad over the pixels (N, C).
        second: mean of grad * (x - mean), likewise.
        pixels: D.
        saved: from forward.
        affine: weight and bias (C,).
        state: u and v (C,) before the first sample.
        options: of the layer.
    """
    _, variance, inverse, d = saved.stats.unbind()
    b, (weight, bias) = options.backward_decay, affine
    group = options.group_size or d.shape[1]
    zeta = _spread(saved.zeta, group)
    gain = weight * inverse / zeta
    center = (weight * inverse * d + bias) / zeta
    if options.layer_scaling:  # Along the scaled sample itself no gradient passes.
        along = _spread(_group_means(gain * second + center * first, group), group)
        first, second = (first - along * center) / zeta, (second - along * gain * variance) / zeta
    else:
        along = torch.zeros_like(gain)
    dot = (second + d * first) * inverse
    vs = scanned(1 - (1 - b) * (variance + d.square()) * inverse.square(), weight * dot, state[1])
    pull = (1 - b) * vs[:-1] * inverse.square()
    us = decayed(b, weight * inverse * first - pull * d, state[0])
    return Gradients(
        gain=gain,
        slope=-pull - along * gain.square(),
        offset=-pull * d - along * gain * center - (1 - b) * us[:-1],
        weight=pixels * dot.sum(0),
        bias=pixels * first.sum(0),
        u=us[-1],
        v=vs[-1],
    )


def decayed(decay: Decay, added: Tensor, start: Tensor) -> Tensor:
    """x[0] = start, x[n+1] = decay * x[n] + added[n]: all x, (N + 1, C)."""
    if isinstance(decay, Tensor) or len(added) > 256:  # The matrix would be large; the scan takes any coefficients.
        return scanned((torch.zeros_like(added) + decay), added, start)
    return _powers(decay, len(added), added.device) @ torch.cat([start[None], added])


def scanned(coefficient: Tensor, added: Tensor, start: Tensor) -> Tensor:
    """x[0] = start, x[n+1] = coefficient[n] * x[n] + added[n]: all x (N + 1, C), by doubling (Hillis, Steele 1986)."""
    values, factors = torch.cat([start[None], added]), coefficient
    reach, length = 1, len(values)
    while reach < length:  # values[n] holds its last `reach` summands; factors[n] carries over values[n + 1 - reach].
        values = torch.cat([values[:reach], values[reach:] + factors[reach - 1 :] * values[:-reach]])
        factors = torch.cat([factors[:reach], factors[reach:] * factors[:-reach]]) if 2 * reach < length else factors
        reach *= 2
    return values


def finite_or(new: tuple[Tensor, Tensor], old: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The new state in the old one's dtype; the old one if any of the new is not finite (decided on the device)."""
    first, second = (value.to(before.dtype) for value, before in zip(new, old, strict=True))
    fine = torch.isfinite(first).all() & torch.isfinite(second).all()
    return torch.where(fine, first, old[0]), torch.where(fine, second, old[1])


def _group_means(values: Tensor, group: int) -> Tensor:
    grouped: Tensor = values.unflatten(1, (-1, group))
    return grouped.mean(2)


def _spread(values: Tensor, group: int) -> Tensor:
    return values.repeat_interleave(group, 1) if values.shape[1] > 1 else values


def _powers(decay: float, count: int, device: torch.device) -> Tensor:
    """The lower triangle of decay^(row - column), (count + 1, count + 1)."""
    if torch.compiler.is_compiling():
        return _made_powers(decay, count, device)
    return _kept_powers(decay, count, device)


def _made_powers(decay: float, count: int, device: torch.device) -> Tensor:
    index = torch.arange(count + 1, dtype=torch.float64, device=device)
    return torch.pow(decay, (index[:, None] - index).clamp(min=0)).tril()


_kept_powers = lru_cache(maxsize=64)(_made_powers)
