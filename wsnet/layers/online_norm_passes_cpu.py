"""Online normalization's passes over the data on a CPU without the C++ kernels: the torch operations that are fast there.

As `online_norm_passes`, whose functions these stand in for: (N, C, D), or (N, D, C) where channels_last; float32 sums.
Eager operations on a CPU are not alike: `torch.var_mean` takes longer than a whole batch norm, while group norm's
kernels sum over rows well, and batch norm's, in evaluation, scale and shift rows in one pass. So contiguous data is one
image of N * C channels to them. No such kernel takes coefficients for each sample in channels_last; there `addcmul`
does. The sums are of the data itself, and the mean comes off after them, or in the coefficient, in float64: where means
are a hundred deviations this costs no more than the running mean's own float32.
"""

import torch
from torch import Tensor

__all__ = ["clipped", "gradient_moments", "input_gradient", "moments", "output"]


def moments(view: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of the pixels, (N, C)."""
    wide = view.float()
    if axis == 2:
        rows, (samples, channels, pixels) = _rows(wide), view.shape
        size = samples * channels
        _, mean, inverse = torch.native_group_norm(rows, None, None, 1, size, pixels, size, 0.0)
        return mean.view(samples, channels), inverse.view(samples, channels).double().pow(-2)
    mean = wide.mean(1)
    centered = wide - mean.unsqueeze(1)
    return mean, centered.mul_(centered).mean(1)


def output(view: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, axis: int, limit: float | None) -> Tensor:
    """Scale * (x - mean) + shift, clamped at the limit; rounded once."""
    result = _scaled(view, scale, shift - scale * mean, axis)
    return (result if limit is None else result.clamp_(-limit, limit)).to(view.dtype)


def clipped(grad: Tensor, view: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, axis: int, limit: float) -> Tensor:
    """The gradient behind the clamp: zero where the output is at the limit."""
    return grad.masked_fill(_scaled(view, scale, shift - scale * mean, axis).abs_() >= limit, 0)


def gradient_moments(grad: Tensor, view: Tensor, mean: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Means over the pixels of grad and of grad * (x - mean), (N, C)."""
    grad, wide = grad.float(), view.float()
    if axis == 2:
        samples, channels, pixels = view.shape
        size = samples * channels
        zero, one = wide.new_zeros(1, size), wide.new_ones(1, size)
        # With mean 0 and deviation 1 the gradients of the scale and the shift are the sums of grad * x and of grad.
        _, second, first = torch.ops.aten.native_group_norm_backward(
            _rows(grad), _rows(wide), zero, one, None, 1, size, pixels, size, [False, True, True]
        )
        first, second = (values.view(samples, channels).double() / pixels for values in (first, second))
    else:
        first, second = grad.mean(1).double(), (grad * wide).mean(1).double()
    return first, second - first * mean


def input_gradient(
    grad: Tensor, view: Tensor, mean: Tensor, gain: Tensor, slope: Tensor, offset: Tensor, axis: int
) -> Tensor:
    """Gain * grad + slope * (x - mean) + offset; rounded once."""
    result = _scaled(view, slope, offset - slope * mean, axis)
    return result.addcmul_(grad.float(), gain.float().unsqueeze(axis)).to(view.dtype)


def _scaled(view: Tensor, scale: Tensor, shift: Tensor, axis: int) -> Tensor:
    """Scale * x + shift, float32, new."""
    wide, scale, shift = view.float(), scale.float(), shift.float()
    if axis == 1:
        return torch.addcmul(shift.unsqueeze(1), wide, scale.unsqueeze(1))
    size = scale.numel()
    zero, one = wide.new_zeros(size), wide.new_ones(size)
    rows, _, _ = torch.native_batch_norm(
        _rows(wide), scale.reshape(-1), shift.reshape(-1), zero, one, False, 0.0, 0.0
    )
    return rows.view(view.shape)


def _rows(values: Tensor) -> Tensor:
    """(N, C, D) as one image of N * C channels."""
    return values.view(1, -1, values.shape[2])
