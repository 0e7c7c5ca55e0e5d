"""Residual networks with pre-activation blocks: PreAct ResNet and WRN."""

from typing import Annotated, Literal

from pydantic import field_validator

from wsnet.config.base import Fraction, PositiveInt, as_tuple
from wsnet.config.network import ConvInit, NetworkConfig
from wsnet.config.resnets import ThreeStageConfig, check_depth

__all__ = ["PreActResNetConfig", "WRNConfig"]


class PreActResNetConfig(ThreeStageConfig):
    """The three-stage ResNet with norm and activation before the weights (He et al. 2016, arXiv:1603.05027)."""

    name: Literal["preact_resnet"]
    shortcut: Literal["A", "B"] = "B"
    """Where a stage changes size: A subsamples and pads with zeros, B is a strided 1x1 convolution without a norm."""
    preact_stage: Annotated[tuple[bool, bool, bool], as_tuple()] = (True, True, True)
    """Whether the first block of each stage has its first norm and activation before the shortcut too."""
    remove_first_relu: bool = False
    """Whether blocks begin with a norm without an activation (Han et al. 2017, PyramidNet), except where
    `preact_stage` has it before the shortcut."""
    add_last_norm: bool = False
    """Whether each block's last convolution is followed by a norm (as there; hysts' `add_last_bn`)."""


class WRNConfig(NetworkConfig):
    """Wide ResNet (Zagoruyko & Komodakis 2016): 6n + 4 convolutions in pre-activation blocks, k times as wide."""

    name: Literal["wrn"]
    depth: int = 28
    """Number of convolutions, 6n + 4, those of the three shortcuts included."""
    widening: PositiveInt = 10
    """k: how many times as many channels as ResNet has."""
    dropout: Fraction = 0.0
    """Probability of dropping an element before each block's second convolution."""
    init: ConvInit = "fan_in"
    """Initial weights of convolutions (as for every network; here fan_in, as in the authors' code)."""

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int) -> int:
        return check_depth(depth, 6, 4, "10, 16, 22, 28, 40")
