"""Residual networks: ResNet and ResNeXt."""

from typing import Literal, Self

from pydantic import ValidationInfo, field_validator, model_validator

from wsnet.config.base import PositiveInt, conflict
from wsnet.config.network import NetworkConfig

__all__ = [
    "CifarResNeXtConfig",
    "CifarResNetConfig",
    "ResNeXtConfig",
    "ResNetConfig",
    "ResidualConfig",
    "ThreeStageConfig",
    "check_depth",
]


def check_depth(depth: int, step: int, others: int, examples: str, where: str = "") -> int:
    """A depth of step * n + others with n >= 1; the ValueError of another names the nearest one."""
    if depth < step + others or (depth - others) % step:
        near = max(step + others, step * ((depth - others + step // 2) // step) + others)
        raise ValueError(f"depth must be {step}n + {others}{where} ({examples}, ...), but got {depth}; near it: {near}")
    return depth


class ResidualConfig(NetworkConfig):
    """What every residual network has."""

    se_reduction: PositiveInt | None = None
    """Squeeze-and-excitation (Hu et al. 2018) in each block, with so many times fewer features than channels inside
    (16 in the paper); null is none."""


class ThreeStageConfig(ResidualConfig):
    """A residual network for small images: a 3x3 stem and three stages of n blocks."""

    block: Literal["basic", "bottleneck"] = "basic"
    """Two 3x3 convolutions, or 1x1, 3x3 and 1x1."""
    depth: int
    """Number of weighted layers: 6n + 2 with basic blocks, 9n + 2 with bottlenecks."""
    width: PositiveInt = 16
    """Channels inside the blocks of the first stage; the second has twice, the third four times as many."""
    first_stage: Literal["expanded", "stem"] = "expanded"
    """Channels that leave the first stage of bottlenecks: four times the stem's (He et al. 2016), or only the stem's
    (hysts/pytorch_image_classification)."""
    shortcut: Literal["A", "B"] = "B"
    """Where a stage changes size: A subsamples and pads with zeros, B is a strided 1x1 convolution and a norm."""

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int, info: ValidationInfo) -> int:
        if info.data.get("block") == "bottleneck":
            return check_depth(depth, 9, 2, "11, 20, 29, 56, 110, 164, 1001", " with bottlenecks")
        return check_depth(depth, 6, 2, "8, 14, 20, 32, 44, 56, 110")

    @model_validator(mode="after")
    def _first_stage_has_an_effect(self) -> Self:
        if self.first_stage == "stem" and (self.block == "basic" or self.width % 4):
            text = (
                "model.first_stage 'stem' needs block 'bottleneck' and a width that 4 divides, but got "
                f"block {self.block!r} and width {self.width}"
            )
            raise conflict((text, ("first_stage", "block", "width")))
        return self


class CifarResNetConfig(ThreeStageConfig):
    """The three-stage ResNet for small images (He et al. 2016, section 4.2)."""

    name: Literal["cifar_resnet"]


class ResNetConfig(ResidualConfig):
    """The four-stage ResNet for ImageNet (He et al. 2016, table 1; stride in the 3x3 as in torchvision)."""

    name: Literal["resnet"]
    depth: Literal[18, 34, 50, 101, 152]
    """Number of weighted layers."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layer: 7x7 stride 2 and a 3x3 max-pool, or (for small images) 3x3 stride 1 and no pool."""


class ResNeXtConfig(ResidualConfig):
    """ResNeXt: bottlenecks with grouped 3x3 convolutions (Xie et al. 2017)."""

    name: Literal["resnext"]
    depth: Literal[50, 101, 152]
    """Number of weighted layers."""
    cardinality: PositiveInt = 32
    """Groups of the 3x3 convolutions."""
    group_width: PositiveInt = 4
    """Channels per group in the first stage (the 4 of 32x4d)."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layer: 7x7 stride 2 and a 3x3 max-pool, or (for small images) 3x3 stride 1 and no pool."""


class CifarResNeXtConfig(ResidualConfig):
    """The three-stage ResNeXt for small images (Xie et al. 2017, section 5.3): 9n + 2 layers."""

    name: Literal["cifar_resnext"]
    depth: int = 29
    """Number of weighted layers, 9n + 2."""
    cardinality: PositiveInt = 8
    """Groups of the 3x3 convolutions."""
    group_width: PositiveInt = 64
    """Channels per group in the first stage (the 64 of 8x64d)."""

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int) -> int:
        return check_depth(depth, 9, 2, "11, 20, 29")
