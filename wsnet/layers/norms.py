"""The norms by name. A new norm is a function (in its own file where it is more than a call) and a line in `NORMS`.

Each function takes the norm's own configuration, the channels C and the (height, width) of the maps, and returns a
module from N x C x H x W to the same shape.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from wsnet.config.norm import (
    BatchNormConfig,
    GroupNormConfig,
    InstanceNormConfig,
    LayerNormConfig,
    NoNormConfig,
    NormConfig,
)
from wsnet.layers.layer_norm import LayerNorm2d

__all__ = ["NORMS", "Size", "make_norm", "uses_batch_statistics"]

Size = tuple[int, int]
"""(height, width) of a map."""


def batch(config: BatchNormConfig, channels: int, size: Size) -> nn.Module:
    """Batch normalization (Ioffe & Szegedy 2015): statistics of each channel over the batch; running ones in eval."""
    return nn.BatchNorm2d(channels, eps=config.eps, momentum=config.momentum)


def group(config: GroupNormConfig, channels: int, size: Size) -> nn.Module:
    """Group normalization (Wu & He 2018): statistics of each image over groups of channels."""
    if channels % config.groups:
        raise ValueError(f"groups must divide the channels, but got groups={config.groups}, channels={channels}")
    _need_more_than_one_element(channels // config.groups * size[0] * size[1], "group", channels, size)
    return nn.GroupNorm(config.groups, channels, eps=config.eps)


def layer(config: LayerNormConfig, channels: int, size: Size) -> nn.Module:
    """Layer normalization (Ba et al. 2016): statistics of each image over channels, height and width."""
    _need_more_than_one_element(channels * size[0] * size[1], "layer", channels, size)
    return LayerNorm2d(channels, size, affine=config.affine, eps=config.eps)


def instance(config: InstanceNormConfig, channels: int, size: Size) -> nn.Module:
    """Instance normalization (Ulyanov et al. 2016): statistics of each image and channel, in eval too."""
    _need_more_than_one_element(size[0] * size[1], "instance", channels, size)
    return nn.InstanceNorm2d(channels, eps=config.eps, affine=config.affine, track_running_stats=False)


def none(config: NoNormConfig, channels: int, size: Size) -> nn.Module:
    """No normalization."""
    return nn.Identity()


NORMS: dict[str, Callable[[Any, int, Size], nn.Module]] = {
    "batch": batch,
    "group": group,
    "layer": layer,
    "instance": instance,
    "none": none,
}


def make_norm(config: NormConfig, channels: int, size: Size) -> nn.Module:
    """The norm of a configuration, for maps of N x channels x height x width.

    Raises:
        ValueError: the norm can not normalize maps of this shape.
    """
    return NORMS[config.name](config, channels, size)


def uses_batch_statistics(config: NormConfig) -> bool:
    """Whether images of one batch influence each other in training, so that the micro-batch size matters."""
    return config.name == "batch"


def _need_more_than_one_element(elements: int, norm: str, channels: int, size: Size) -> None:
    # Normalizing a single element by itself gives zero, whatever the image: the network would not see its input.
    if elements == 1:
        raise ValueError(
            f"{norm} normalization needs more than one element to take statistics over, but got channels={channels} "
            f"and a map of {size[0]}x{size[1]}; use larger images, fewer stages or another norm"
        )
