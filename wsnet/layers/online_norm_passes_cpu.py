"""Online normalization's passes over the data from the torch operations that are fast on a CPU; for eager mode.

As `online_norm_passes`, whose functions these stand in for: (N, C, D), or (N, D, C) where channels_last; float32 sums.
Eager operations on a CPU are not alike: `torch.var_mean` takes longer than a whole batch norm, while group norm's
backward sums over rows well, and batch norm's forward, in evaluation, scales and shifts rows in one pass. So contiguous
data is one image of N * C channels to them. No such kernel takes coefficients for each sample in channels_last; there
`addcmul` does. What is made on the way is made for a few samples at a time, so that it stays in the caches.

The mean comes off after a sum, or in a coefficient, in float64. Where means are a hundred deviations this costs no more
than the running mean's own float32.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["clipped", "gradient_moments", "input_gradient", "moments", "output"]

BLOCK = 2**18
"""Elements that are worked on at a time, channels_last."""


def moments(view: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of the pixels, (N, C)."""
    means, variances = [], []
    for (part,) in _blocks(view):
        wide = part.float()
        means.append(wide.mean(axis))
        centered = wide - means[-1].unsqueeze(axis)
        variances.append(centered.mul_(centered).mean(axis))
    return torch.cat(means), torch.cat(variances)


def output(view: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, axis: int, limit: float | None) -> Tensor:
    """Scale * (x - mean) + shift, clamped at the limit; rounded once."""
    result = _scaled(view, scale, shift - scale * mean, axis)
    return (result if limit is None else result.clamp_(-limit, limit)).to(view.dtype)


def clipped(grad: Tensor, view: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, axis: int, limit: float) -> Tensor:
    """The gradient behind the clamp: zero where the output is at the limit."""
    return grad.masked_fill(_scaled(view, scale, shift - scale * mean, axis).abs_() >= limit, 0)


def gradient_moments(grad: Tensor, view: Tensor, mean: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Means over the pixels of grad and of grad * (x - mean), (N, C)."""
    if axis == 2:
        grad, wide, (samples, channels, pixels) = grad.float(), view.float(), view.shape
        size = samples * channels
        zero, one, scale = wide.new_zeros(1, size), wide.new_ones(1, size), wide.new_ones(size)
        # With mean 0 and deviation 1 the gradients of the scale and the shift are the sums of grad * x and of grad.
        _, second, first = torch.ops.aten.native_group_norm_backward(
            _rows(grad), _rows(wide), zero, one, scale, 1, size, pixels, size, [False, True, True]
        )
        first, second = (values.view(samples, channels).double() / pixels for values in (first, second))
    else:
        parts = [(g.float(), x.float()) for g, x in _blocks(grad, view)]
        first = torch.cat([g.mean(1) for g, _ in parts]).double()
        second = torch.cat([(g * x).mean(1) for g, x in parts]).double()
    return first, second - first * mean


def input_gradient(
    grad: Tensor, view: Tensor, mean: Tensor, gain: Tensor, slope: Tensor, offset: Tensor, axis: int
) -> Tensor:
    """Gain * grad + slope * (x - mean) + offset; rounded once."""
    shift = offset - slope * mean
    if axis == 2:
        return _scaled(view, slope, shift, axis).addcmul_(grad.float(), gain.float().unsqueeze(2)).to(view.dtype)
    result = torch.empty_like(view, dtype=torch.float32)
    for out, g, x, *coefficients in _blocks(result, grad, view, gain, slope, shift):
        gains, slopes, shifts = (values.float().unsqueeze(1) for values in coefficients)
        torch.addcmul(shifts, x.float(), slopes, out=out).addcmul_(g.float(), gains)
    return result.to(view.dtype)


def _scaled(view: Tensor, scale: Tensor, shift: Tensor, axis: int) -> Tensor:
    """Scale * x + shift, float32, new."""
    wide, scale, shift = view.float(), scale.float(), shift.float()
    if axis == 1:
        return torch.addcmul(shift.unsqueeze(1), wide, scale.unsqueeze(1))
    size = scale.numel()
    zero, one = wide.new_zeros(size), wide.new_ones(size)
    rows, _, _ = torch.native_batch_norm(_rows(wide), scale.reshape(-1), shift.reshape(-1), zero, one, False, 0.0, 0.0)
    return rows.view(view.shape)


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors (N, ...) by runs of samples; `tensors[0]` is as large as the data."""
    size = max(BLOCK // tensors[0][0].numel(), 1)
    return zip(*(values.split(size) for values in tensors), strict=True)


def _rows(values: Tensor) -> Tensor:
    """(N, C, D) as one image of N * C channels."""
    return values.view(1, -1, values.shape[2])
