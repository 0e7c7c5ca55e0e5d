"""`model`: the architecture, its normalization and its weight reparametrization."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from wsnet.config.base import Config, PositiveInt, conflict
from wsnet.config.norm import BatchNormConfig, NormConfig

__all__ = ["CifarResNetConfig", "ModelConfig", "ResNeXtConfig", "ResNetConfig"]


class _Network(Config):
    norm: NormConfig = BatchNormConfig(name="batch")
    """How activations are normalized."""
    weight: Literal["none", "standardized", "normalized"] = "none"
    """How each convolution's weights are reparametrized: not at all, standardized (Qiao et al. 2019), or normalized
    (Salimans & Kingma 2016: a direction and a gain for each filter). The classifier's never are."""
    weight_init: Literal["plain", "data_dependent"] = "plain"
    """How normalized weights begin: with the plain convolution's weights, or with a gain and a bias for each filter
    that standardize what it gives for the first batch (Salimans & Kingma 2016, section 3). Only without a norm."""
    residual_init: Literal["default", "zero"] = "default"
    """Whether each residual branch begins at zero: its last norm's scale (Goyal et al. 2017), or without a norm its
    last convolution's weights or gain (Zhang et al. 2019, Fixup). Deep residual nets without a norm need it."""

    @model_validator(mode="after")
    def _weight_init_has_an_effect(self) -> Self:
        if self.weight_init == "data_dependent" and (self.weight != "normalized" or self.norm.name != "none"):
            text = (
                "model.weight_init 'data_dependent' needs weight 'normalized' and norm 'none', but got "
                f"weight {self.weight!r} and norm {self.norm.name!r}"
            )
            raise conflict((text, ("weight_init", "weight", "norm.name")))
        return self


def _six_n_plus_two(depth: int) -> int:
    if depth < 8 or (depth - 2) % 6:
        near = max(8, 6 * ((depth + 1) // 6) + 2)
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, ...), but got {depth}; near it: {near}")
    return depth


class CifarResNetConfig(_Network):
    """The three-stage ResNet for small images (He et al. 2016, section 4.2): 6n + 2 layers of basic blocks."""

    name: Literal["cifar_resnet"]
    depth: Annotated[int, AfterValidator(_six_n_plus_two)]
    """Number of weighted layers, 6n + 2."""
    width: PositiveInt = 16
    """Channels of the first stage; the second has twice, the third four times as many."""
    shortcut: Literal["A", "B"] = "B"
    """Where a stage changes size: A subsamples and pads with zeros, B is a strided 1x1 convolution and a norm."""


class ResNetConfig(_Network):
    """The four-stage ResNet for ImageNet (He et al. 2016, table 1; stride in the 3x3 as in torchvision)."""

    name: Literal["resnet"]
    depth: Literal[18, 34, 50, 101, 152]
    """Number of weighted layers."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layer: 7x7 stride 2 and a 3x3 max-pool, or (for small images) 3x3 stride 1 and no pool."""


class ResNeXtConfig(_Network):
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


ModelConfig = Annotated[CifarResNetConfig | ResNetConfig | ResNeXtConfig, Field(discriminator="name")]
