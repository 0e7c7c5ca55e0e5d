"""Batch norm of sub-batches in channels_last on CPUs, where torch's kernels take one batch, or contiguous maps only."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["applies_to", "sub_batch_norm"]

_OVER = (1, 3, 4)
"""Dimensions of sub-batches x images x C x H x W that statistics are taken over."""


def applies_to(x: Tensor) -> bool:
    """Whether x is better normalized here: N x C x H x W in channels_last, on a CPU, not traced by a compiler."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return x.is_cpu and channels_last and not torch.compiler.is_compiling()


def sub_batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *, images: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize each sub-batch of consecutive images by itself, then scale and shift.

        y = (x - mean) / sqrt(var + eps) * weight + bias        (mean and biased var over the sub-batch, H, W)

    Args:
        x: N x C x H x W, channels_last.
        weight, bias: C, both or neither.
        images: in a sub-batch; divides N.
        eps: added to the variance.

    Returns:
        y, channels_last; mean and var, sub-batches x C, which have no gradient.
    """
    y, mean, var = _SubBatchNorm.apply(x, weight, bias, images, eps)
    return y, mean, var


class _SubBatchNorm(torch.autograd.Function):
    """Differentiated by hand; x is all that it keeps of the size of the maps.

    With k = 1 / sqrt(var + eps), n = k (x - mean), g = dL/dy, and means over a sub-batch:

        dL/dx = weight k (g - mean(g) - n mean(g n)),    dL/dweight = sum(g n),    dL/dbias = sum(g)
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, images: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide = _split(x, images)
        mean = wide.mean(_OVER, keepdim=True)
        centred = wide - mean
        squares = centred.square()
        var = squares.mean(_OVER, keepdim=True)
        k = (var + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, k)
        ctx.images = images
        if weight is None or bias is None:
            y = torch.mul(centred, k, out=squares)
        else:
            y = torch.addcmul(bias[:, None, None], centred, k * weight[:, None, None], out=squares)
        mean, var = mean.flatten(1), var.flatten(1)
        ctx.mark_non_differentiable(mean, var)
        # In-place activations may not overwrite a Function's output that is a view; they may overwrite its `.data`.
        return y.flatten(0, 1).to(x.dtype).data, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *others: Any) -> tuple[Tensor, Tensor | None, Tensor | None, None, None]:
        x, weight, mean, k = ctx.saved_tensors
        g, centred = _split(grad, ctx.images), _split(x, ctx.images) - mean
        product = g * centred
        total, along = (values.sum(_OVER, keepdim=True) for values in (g, product))
        scale = k if weight is None else k * weight[:, None, None]
        elements = g[0].numel() // g.shape[2]
        radial = -scale * k.square() * along / elements
        of_x = torch.addcmul(-scale * total / elements, centred, radial, out=product).addcmul_(g, scale)
        of_x = of_x.flatten(0, 1).to(x.dtype)
        if weight is None:
            return of_x, None, None, None, None
        return of_x, (k * along).sum((0, 1, 3, 4)), total.sum((0, 1, 3, 4)), None, None


def _split(x: Tensor, images: int) -> Tensor:
    """N x C x H x W to sub-batches x images x C x H x W, in float32 or better."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return wide.view(-1, images, *wide.shape[1:])
