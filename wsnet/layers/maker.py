"""The maker of layers: the only thing that a model knows about norms and weights."""

from typing import Literal

from torch import nn

from wsnet.config.norm import NormConfig
from wsnet.layers.norms import Size, make_norm
from wsnet.layers.standardized import StandardizedConv2d

__all__ = ["CONVS", "Layers"]

CONVS: dict[str, type[nn.Conv2d]] = {
    "none": nn.Conv2d,
    "standardized": StandardizedConv2d,
}
"""Convolutions by how their weights are reparametrized (`model.weight`)."""


class Layers:
    """Makes the layers of one network, so that every norm works in every architecture."""

    def __init__(self, norm: NormConfig, weight: Literal["none", "standardized"] = "none") -> None:
        """Choose the kind of layers.

        Args:
            norm: how activations are normalized.
            weight: how each convolution's weights are reparametrized.
        """
        self._norm = norm
        self._conv = CONVS[weight]

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> nn.Conv2d:
        """A convolution with a square kernel, without bias unless asked for.

        Args:
            padding: zeros on each side; None is kernel_size // 2, which keeps the map's size at stride 1.

        Raises:
            ValueError: a standardized filter would have a single element.
        """
        return self._conv(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2 if padding is None else padding,
            groups=groups,
            bias=bias,
        )

    def norm(self, channels: int, *, size: Size) -> nn.Module:
        """The norm for maps of N x channels x height x width.

        Args:
            size: (height, width) of the maps, which a layer norm with an affine map per element needs.

        Raises:
            ValueError: the norm can not normalize maps of this shape.
        """
        return make_norm(self._norm, channels, size)

    def linear(self, in_features: int, out_features: int) -> nn.Linear:
        """A classifier with bias; its weights are never reparametrized."""
        return nn.Linear(in_features, out_features)
