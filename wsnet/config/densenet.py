"""`model` of the DenseNets."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wsnet.config.base import Fraction, PositiveInt, conflict
from wsnet.config.network import NetworkConfig

__all__ = ["CifarDenseNetConfig", "DenseNetConfig"]


class _DenseNetConfig(NetworkConfig):
    dropout: Fraction = 0.0
    """Probability of dropout after each convolution but the first (section 4.2: 0.2 on CIFAR without augmentation)."""

    @model_validator(mode="after")
    def _residual_init_has_an_effect(self) -> Self:
        if self.residual_init != "default":
            text = f"model.residual_init has no effect in a DenseNet, which adds nothing up; got {self.residual_init!r}"
            raise conflict((text, ("residual_init", "name")))
        return self


class CifarDenseNetConfig(_DenseNetConfig):
    """DenseNet for small images in three dense blocks (Huang et al. 2017); as it stands, DenseNet-BC."""

    name: Literal["cifar_densenet"]
    depth: PositiveInt
    """Number of weighted layers: 6n + 4 with bottlenecks (100, 190, 250), 3n + 4 without (40, 100)."""
    growth_rate: PositiveInt = 12
    """Channels that each dense layer adds (the paper's k)."""
    bottleneck: bool = True
    """Whether a 1x1 convolution to four times the growth rate comes before each 3x3 (the B of BC)."""
    compression: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the channels that a transition leaves (the C of BC); 1 for the plain DenseNet."""

    stem_width: PositiveInt | None = None
    """Channels of the first convolution, where they are not the paper's: twice the growth rate with bottlenecks, 16
    without. (One published implementation has twice the growth rate always.)"""

    @model_validator(mode="after")
    def _depth_fills_three_blocks(self) -> Self:
        each = 6 if self.bottleneck else 3
        if self.depth < each + 4 or (self.depth - 4) % each:
            near = max(1, round((self.depth - 4) / each)) * each + 4
            kind = "with" if self.bottleneck else "without"
            text = f"depth must be {each}n + 4 {kind} bottlenecks, but got depth={self.depth}; near it: {near}"
            raise conflict((text, ("depth", "bottleneck")))
        return self


class DenseNetConfig(_DenseNetConfig):
    """DenseNet-BC for ImageNet in four dense blocks (Huang et al. 2017, table 1), as in torchvision."""

    name: Literal["densenet"]
    depth: Literal[121, 161, 169, 201]
    """Number of weighted layers. 161 has growth rate 48, the others 32."""
