"""Ghost batch normalization (Hoffer et al. 2017, arXiv:1705.08741, algorithm 1)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsnet.layers.sub_batch_norm import applies_to, sub_batch_norm

__all__ = ["GhostBatchNorm2d"]


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over sub-batches of `ghost_size` consecutive images, each normalized as a batch of its own.

    The last sub-batch is smaller if `ghost_size` does not divide the batch. The running statistics are updated as if by
    one sub-batch after the other. Evaluation and the names in the state are those of batch norm.

    Raises:
        ValueError: in training, a sub-batch has a single value per channel.
    """

    def __init__(self, channels: int, ghost_size: int, **options: Any) -> None:
        super().__init__(channels, **options)
        self.ghost_size = ghost_size

    def forward(self, input: Tensor) -> Tensor:
        """Normalize N x C x H x W."""
        images = input.shape[0]
        if not self.training or images <= self.ghost_size:
            out: Tensor = super().forward(input)
            return out
        rest = images % self.ghost_size
        if not rest:
            return self._normalized(input)
        parts = self._normalized(input[: images - rest]), super().forward(input[images - rest :])
        return torch.cat(parts)

    def _normalized(self, x: Tensor) -> Tensor:
        """Batch norm of all sub-batches at once: as `ghost_size` images with (sub-batches x C) channels."""
        groups = x.shape[0] // self.ghost_size
        if applies_to(x):
            out, mean, var = sub_batch_norm(x, self.weight, self.bias, images=self.ghost_size, eps=self.eps)
            elements = x.numel() // mean.numel()
            self._update(mean, var * (elements / (elements - 1)))
            return out
        channels = groups * self.num_features
        mean, var = x.new_zeros(2, channels, dtype=self.weight.dtype)
        stacked = _stack(x, groups)
        weight, bias = self.weight.repeat(groups), self.bias.repeat(groups)
        y = F.batch_norm(stacked, mean, var, weight, bias, training=True, momentum=1.0, eps=self.eps)
        self._update(mean.view(groups, -1), var.view(groups, -1))
        return _unstack(y, groups)

    @torch.no_grad()
    def _update(self, mean: Tensor, var: Tensor) -> None:
        """Update the running statistics with those of all groups (groups x C, in order) as if one after the other."""
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        groups, kept = len(mean), 1 - self.momentum
        # Not as a product of matrices, which autocast would compute in bfloat16, with three digits.
        weights = mean.new_tensor([[self.momentum * kept ** (groups - 1 - i)] for i in range(groups)])
        self.running_mean.mul_(kept**groups).add_((weights * mean).sum(0))
        self.running_var.mul_(kept**groups).add_((weights * var).sum(0))
        self.num_batches_tracked.add_(groups)

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"{self.num_features}, ghost_size={self.ghost_size}, momentum={self.momentum}, eps={self.eps}"


def _stack(x: Tensor, groups: int) -> Tensor:
    """(k g) x C x H x W to g x (k C) x H x W, in the same memory format."""
    images, channels, height, width = x.shape
    size = images // groups
    if x.is_contiguous():
        return x.view(groups, size, channels, height, width).transpose(0, 1).reshape(size, -1, height, width)
    ghwkc = x.permute(0, 2, 3, 1).reshape(groups, size, height, width, channels).permute(1, 2, 3, 0, 4)
    return ghwkc.reshape(size, height, width, -1).permute(0, 3, 1, 2)


def _unstack(y: Tensor, groups: int) -> Tensor:
    """The reverse of `_stack`."""
    size, channels, height, width = y.shape
    images, channels = size * groups, channels // groups
    if y.is_contiguous():
        kgchw = y.view(size, groups, channels, height, width).transpose(0, 1)
        # With one image per sub-batch, reshape makes no copy and leaves the numbers in another order in memory.
        return kgchw.reshape(images, channels, height, width).contiguous()
    kghwc = y.permute(0, 2, 3, 1).reshape(size, height, width, groups, channels).permute(3, 0, 1, 2, 4)
    return kghwc.reshape(images, height, width, channels).contiguous().permute(0, 3, 1, 2)
