"""Squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507, figure 3): a residual branch weighs its own channels."""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SqueezeExcitation", "squeeze_excitation"]


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a number in (0, 1) that two linear layers find from all channels' means.

    Its weights are a classifier's more than a filter's, so they are never reparametrized.

    Args:
        channels: C.
        reduction: the layer between has C // reduction features.

    Raises:
        ValueError: nothing would be left between.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        if reduction > channels:
            raise ValueError(
                "se_reduction must not exceed the channels of any block, "
                f"but got se_reduction={reduction}, channels={channels}"
            )
        self.fc1 = nn.Linear(channels, channels // reduction)
        self.fc2 = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to the same shape."""
        scale: Tensor = self.fc2(F.relu(self.fc1(x.mean((2, 3))))).sigmoid()
        return x * scale[:, :, None, None]


def squeeze_excitation(channels: int, reduction: int | None) -> nn.Module:
    """The end of a residual branch, before the sum: nothing where reduction is None."""
    return nn.Identity() if reduction is None else SqueezeExcitation(channels, reduction)
