"""Instance normalization (Ulyanov et al. 2016) that keeps channels_last."""

from torch import Tensor, nn

from wsnet.layers.sub_batch_norm import applies_to, sub_batch_norm

__all__ = ["InstanceNorm2d"]


class InstanceNorm2d(nn.InstanceNorm2d):
    """Normalizes each channel of each image over height and width, in training and in evaluation.

    It is torch's norm without running statistics; but on a CPU maps in channels_last stay so, where torch's norm makes
    them contiguous, which costs a copy, and another in the convolution that follows.

    Attributes:
        weight, bias: C, or None without affine.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(channels, eps=eps, affine=affine, track_running_stats=False)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize N x C x H x W."""
        if applies_to(input):
            return sub_batch_norm(input, self.weight, self.bias, images=1, eps=self.eps)[0]
        out: Tensor = super().forward(input)
        return out
