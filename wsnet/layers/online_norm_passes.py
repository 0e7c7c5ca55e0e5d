"""Online normalization's passes over the data, from torch operations: two sums and two elementwise passes.

Under torch.compile each becomes one kernel. The CPU has kernels of its own where a compiler is (`online_norm_kernels`).

A `view` is x as (N, C, D), pixels last, or, for channels_last, (N, D, C); `axis` is where the pixels lie, 2 or 1.
"""

import torch
from torch import Tensor

__all__ = [
    "gradient_moments",
    "in_layout_of",
    "input_gradient",
    "moments",
    "output",
    "pixel_axis",
    "view_of",
    "view_restored",
]


def pixel_axis(x: Tensor) -> int:
    """Where the pixels lie in x's view: 1 if channels_last, else 2."""
    return 2 if x.is_contiguous() else 1


def in_layout_of(x: Tensor, grad: Tensor) -> Tensor:
    """The gradient in the layout of x. Not before the operators: where traced, grad has a layout of its own."""
    layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    return grad.contiguous(memory_format=layout)


def view_of(x: Tensor, axis: int) -> Tensor:
    """X (N, C, *) as its view; no copy, if it is dense in this layout."""
    return (
        x.flatten(2) if axis == 2 and x.dim() > 2 else x[:, :, None] if axis == 2 else x.movedim(1, -1).flatten(1, -2)
    )


def view_restored(view: Tensor, like: Tensor, axis: int) -> Tensor:
    """A view in the shape of the tensor that it was taken of."""
    if axis == 2:
        return view.view(like.shape)
    return view.view(like.shape[0], *like.shape[2:], like.shape[1]).movedim(-1, 1)


def moments(view: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of the pixels, (N, C), in float32 or better."""
    variance, mean = torch.var_mean(_wide(view), axis, correction=0)
    return mean, variance


def output(view: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, axis: int, limit: float | None) -> Tensor:
    """Scale * (x - mean) + shift, clamped at the limit; computed in float32 or better, rounded once."""
    return _output(view, mean, scale, shift, axis, limit).to(view.dtype)


def clipped(grad: Tensor, view: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, axis: int, limit: float) -> Tensor:
    """The gradient behind the clamp: zero where the output is at the limit."""
    return grad.masked_fill(_output(view, mean, scale, shift, axis, limit).abs() >= limit, 0)


def gradient_moments(grad: Tensor, view: Tensor, mean: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Means over the pixels of grad and of grad * (x - mean), (N, C)."""
    grad, centered = _wide(grad), _wide(view) - mean.unsqueeze(axis)
    return grad.mean(axis), (grad * centered).mean(axis)


def input_gradient(
    grad: Tensor, view: Tensor, mean: Tensor, gain: Tensor, slope: Tensor, offset: Tensor, axis: int
) -> Tensor:
    """Gain * grad + slope * (x - mean) + offset; computed in float32 or better, rounded once."""
    gain, slope, offset = (_narrow(values, view).unsqueeze(axis) for values in (gain, slope, offset))
    result = (_wide(view) - mean.unsqueeze(axis)).mul_(slope).add_(offset)
    return result.addcmul_(_wide(grad), gain).to(view.dtype)


def _output(view: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, axis: int, limit: float | None) -> Tensor:
    scale, shift = (_narrow(values, view).unsqueeze(axis) for values in (scale, shift))
    result = (_wide(view) - mean.unsqueeze(axis)).mul_(scale).add_(shift)
    return result if limit is None else result.clamp_(-limit, limit)


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _narrow(values: Tensor, view: Tensor) -> Tensor:
    """Coefficients (float64) in the dtype that the pass computes in."""
    return values if view.dtype == torch.float64 else values.float()
