"""Residual networks: ResNet and ResNeXt."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from wsnet.config.base import PositiveInt
from wsnet.config.network import NetworkConfig

__all__ = ["CifarResNetConfig", "ResNeXtConfig", "ResNetConfig"]


def _six_n_plus_two(depth: int) -> int:
    if depth < 8 or (depth - 2) % 6:
        near = max(8, 6 * ((depth + 1) // 6) + 2)
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, ...), but got {depth}; near it: {near}")
    return depth


class CifarResNetConfig(NetworkConfig):
    """The three-stage ResNet for small images (He et al. 2016, section 4.2): 6n + 2 layers of basic blocks."""

    name: Literal["cifar_resnet"]
    depth: Annotated[int, AfterValidator(_six_n_plus_two)]
    """Number of weighted layers, 6n + 2."""
    width: PositiveInt = 16
    """Channels of the first stage; the second has twice, the third four times as many."""
    shortcut: Literal["A", "B"] = "B"
    """Where a stage changes size: A subsamples and pads with zeros, B is a strided 1x1 convolution and a norm."""


class ResNetConfig(NetworkConfig):
    """The four-stage ResNet for ImageNet (He et al. 2016, table 1; stride in the 3x3 as in torchvision)."""

    name: Literal["resnet"]
    depth: Literal[18, 34, 50, 101, 152]
    """Number of weighted layers."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layer: 7x7 stride 2 and a 3x3 max-pool, or (for small images) 3x3 stride 1 and no pool."""


class ResNeXtConfig(NetworkConfig):
    """ResNeXt: bottlenecks with grouped 3x3 convolutions (Xie et al. 2017)."""

    name: Literal["resnext"]
    depth: Literal[50, 101]
    """Number of weighted layers."""
    cardinality: PositiveInt = 32
    """Groups of the 3x3 convolutions."""
    group_width: PositiveInt = 4
    """Channels per group in the first stage (the 4 of 32x4d)."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layer: 7x7 stride 2 and a 3x3 max-pool, or (for small images) 3x3 stride 1 and no pool."""
