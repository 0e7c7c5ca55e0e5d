"""`model.norm`: how activations are normalized. One class per norm, each with the options that it takes."""

from typing import Annotated, Literal

from pydantic import Field

from wsnet.config.base import Config, Positive, PositiveInt

__all__ = ["BatchNormConfig", "GroupNormConfig", "InstanceNormConfig", "LayerNormConfig", "NoNormConfig", "NormConfig"]


class BatchNormConfig(Config):
    """Batch normalization (Ioffe & Szegedy 2015)."""

    name: Literal["batch"]
    momentum: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.1
    """Weight of the newest batch in the running statistics (torch's convention)."""
    eps: Positive = 1e-5
    """Added to the variance under the root."""


class GroupNormConfig(Config):
    """Group normalization (Wu & He 2018)."""

    name: Literal["group"]
    groups: PositiveInt = 32
    """Groups that the channels are split into; every normalized width must be divisible by it."""
    eps: Positive = 1e-5
    """Added to the variance under the root."""


class LayerNormConfig(Config):
    """Layer normalization (Ba et al. 2016) over channels, height and width of each image."""

    name: Literal["layer"]
    affine: Literal["element", "channel"] = "element"
    """Scale and shift per element (C x H x W, as in the paper and in Chiley et al. 2019) or per channel."""
    eps: Positive = 1e-5
    """Added to the variance under the root."""


class InstanceNormConfig(Config):
    """Instance normalization (Ulyanov et al. 2016) over height and width of each image and channel."""

    name: Literal["instance"]
    affine: bool = True
    """Whether each channel has a learned scale and shift."""
    eps: Positive = 1e-5
    """Added to the variance under the root."""


class NoNormConfig(Config):
    """No normalization: the identity."""

    name: Literal["none"]


NormConfig = Annotated[
    BatchNormConfig | GroupNormConfig | LayerNormConfig | InstanceNormConfig | NoNormConfig,
    Field(discriminator="name"),
]
