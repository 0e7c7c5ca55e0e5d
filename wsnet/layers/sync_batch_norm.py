"""Batch normalization of a batch that several workers share."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wsnet.distributed import moments, sum_over_workers, world_size

__all__ = ["SyncBatchNorm2d"]


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that in training takes its statistics over the images of all workers.

    The semantics are those of torch.nn.SyncBatchNorm, which runs on GPUs only (on CPUs it raises an error, and
    DistributedDataParallel rejects it). Each worker has its own loss, and the input's gradient is that of the sum of
    the losses. With one worker this is nn.BatchNorm2d; the names in its state are the same.

    Raises:
        ValueError: in training, the only worker has a single value per channel.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalize N x C x H x W; every worker has to call it."""
        if not self.training or world_size() == 1:
            out: Tensor = super().forward(input)
            return out
        wide = torch.promote_types(input.dtype, torch.float32)
        with torch.no_grad():
            count, mean, var = moments(input.to(wide))
            self._update(mean, var * count / (count - 1))
        normalized: Tensor = _Normalize.apply(input, mean, var, count, self.eps)
        return torch.addcmul(self.bias[:, None, None], normalized, self.weight[:, None, None]).to(input.dtype)

    def _update(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)
        self.num_batches_tracked.add_(1)


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps); its gradient goes through mean and var, to which all workers contribute.

    With y the output, s = sqrt(var + eps) and g = dL/dy:  dL/dx = (g - mean(g) - y mean(g y)) / s
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mean: Tensor, var: Tensor, count: Tensor, eps: float) -> Tensor:
        scale = (var + eps).rsqrt()[:, None, None]
        y = (x - mean[:, None, None]) * scale
        ctx.save_for_backward(y, scale, count)
        ctx.dtype = x.dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None, None, None]:
        y, scale, count = ctx.saved_tensors
        sums = torch.stack([g.sum((0, 2, 3)), (g * y).sum((0, 2, 3))])
        mean, radial = (sum_over_workers(sums) / count)[:, :, None, None]
        grad = (g - mean - y * radial) * scale
        return grad.to(ctx.dtype), None, None, None, None
