"""Batch renormalization (Ioffe 2017, arXiv:1702.03275, algorithm 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BatchRenorm2d"]


class BatchRenorm2d(nn.Module):
    """Batch norm, corrected so that training normalizes as evaluation does.

        y = ((x - mean_B) / std_B * r + d) * weight + bias,
        r = clip(std_B / std, 1 / r_max, r_max),  d = clip((mean_B - mean) / std, -d_max, d_max)

    with the batch's mean_B and std_B (biased) and the running mean and std, of the batches before; r and d count as
    constants in the gradient. Evaluation normalizes with the running ones. As in the paper, what runs is the standard
    deviation and not the variance.

    The bounds are r_max 1 and d_max 0, which is batch norm, for `warmup_steps` batches; then they rise linearly, to
    their final values after `r_max_steps` and `d_max_steps` batches in all.

    Attributes:
        weight, bias: C.
        running_mean, running_std: C.
        num_batches_tracked: batches seen in training.

    Raises:
        ValueError: in training, a batch has a single value per channel.
    """

    running_mean: Tensor
    running_std: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        channels: int,
        *,
        momentum: float = 0.01,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup_steps: int = 5000,
        r_max_steps: int = 40000,
        d_max_steps: int = 25000,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.r_max, self.d_max = r_max, d_max
        self.warmup_steps, self.r_max_steps, self.d_max_steps = warmup_steps, r_max_steps, d_max_steps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_std", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def reset_running_stats(self) -> None:
        """Forget what was seen in training."""
        self.running_mean.zero_()
        self.running_std.fill_(1)
        self.num_batches_tracked.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x, N x C x H x W."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_std.square(), self.weight, self.bias, eps=0.0)
        r, d = self._correction(x)
        # The correction is one more affine map, so that batch norm's own kernel does all of it.
        weight, bias = self.weight * r, torch.addcmul(self.bias, self.weight, d)
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)

    @torch.no_grad()
    def _correction(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """r and d, C each, of a batch; then it is counted in the running statistics."""
        var, mean = torch.var_mean(x.to(self.running_std.dtype), (0, 2, 3), correction=0)
        std = (var + self.eps).sqrt()
        r_max = 1 + (self.r_max - 1) * self._progress(self.r_max_steps)
        d_max = self.d_max * self._progress(self.d_max_steps)
        r = (std / self.running_std).clamp(1 / r_max, r_max)
        d = ((mean - self.running_mean) / self.running_std).clamp(-d_max, d_max)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_std.lerp_(std, self.momentum)
        self.num_batches_tracked += 1
        return r, d

    def _progress(self, end: int) -> Tensor:
        """How far a bound has risen, 0 to 1: a tensor, so that nothing waits for the device."""
        done = (self.num_batches_tracked - self.warmup_steps).to(self.running_std.dtype)
        # Where it is to rise at once, the first batch after the warm-up has the final bound.
        return (done / (end - self.warmup_steps)).clamp(0, 1) if end > self.warmup_steps else (done >= 0).to(done.dtype)

    def extra_repr(self) -> str:
        """What `print(model)` says of it."""
        return f"{len(self.weight)}, momentum={self.momentum}, r_max={self.r_max}, d_max={self.d_max}, eps={self.eps}"
