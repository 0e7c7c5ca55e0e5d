"""Batch renormalization (Ioffe 2017, arXiv:1702.03275, algorithm 1)."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BatchRenorm2d"]


class BatchRenorm2d(nn.Module):
    """Batch norm, corrected so that training normalizes as evaluation does.

        y = ((x - mean_B) / std_B * r + d) * weight + bias,
        r = clip(std_B / std, 1 / r_max, r_max),  d = clip((mean_B - mean) / std, -d_max, d_max)

    where mean_B and std_B (biased) are the batch's statistics, and mean and std the running statistics before this
    batch; the gradient treats r and d as constants. Evaluation normalizes with the running statistics. As in the paper,
    the running average is of the standard deviation, not of the variance.

    For the first `warmup_steps` batches r_max is 1 and d_max is 0, which is batch norm; then both rise linearly and
    reach their final values after `r_max_steps` and `d_max_steps` batches, counted from the start of training.

    Attributes:
        weight, bias: C.
        running_mean, running_std: C.
        num_batches_tracked: batches seen in training.

    Raises:
        ValueError: in training, a batch has a single value per channel.
    """

    surrogate_gradient: ClassVar[str] = "r and d are treated as constants, as in the paper (algorithm 1)"
    """Why, after the warm-up, backward is not the derivative of forward; see `wsnet.layers.check`."""

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
        """Reset the running statistics to their initial values."""
        self.running_mean.zero_()
        self.running_std.fill_(1)
        self.num_batches_tracked.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x, N x C x H x W."""
        if not self.training:
            var = self.running_std.square()
            # What F.batch_norm calls; called directly because older versions of F.batch_norm reject eps = 0.
            cudnn = torch.backends.cudnn.enabled
            return torch.batch_norm(x, self.weight, self.bias, self.running_mean, var, False, 0.0, 0.0, cudnn)
        r, d = self._correction(x)
        # The correction is an affine map too: folded into weight and bias, it is done by batch norm's own kernel.
        weight, bias = self.weight * r, torch.addcmul(self.bias, self.weight, d)
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)

    @torch.no_grad()
    def _correction(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """r and d (C each) of a batch, which is then added to the running statistics."""
        mean, var = _moments(x.to(self.running_std.dtype))
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
        """How far a bound has risen, from 0 to 1; a tensor, to avoid a device synchronization."""
        done = (self.num_batches_tracked - self.warmup_steps).to(self.running_std.dtype)
        # With no steps left to rise in, the first batch after the warm-up has the final bound.
        return (done / (end - self.warmup_steps)).clamp(0, 1) if end > self.warmup_steps else (done >= 0).to(done.dtype)

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"{len(self.weight)}, momentum={self.momentum}, r_max={self.r_max}, d_max={self.d_max}, eps={self.eps}"


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel."""
    if x.is_cpu and not torch.compiler.is_compiling():
        # Batch norm's own kernel, in either layout a fraction of the time of `torch.var_mean`; it has no fake version.
        mean, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    else:
        var, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    return mean, var
