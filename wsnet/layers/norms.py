"""The norms by name, and the activation that follows each."""

from collections.abc import Callable
from typing import Any, Literal

from torch import nn

from wsnet.config.norm import (
    BatchNormConfig,
    BatchRenormConfig,
    EvoNormS0Config,
    FilterResponseNormConfig,
    GhostBatchNormConfig,
    GroupNormConfig,
    InstanceNormConfig,
    LayerNormConfig,
    NoNormConfig,
    NormConfig,
    OnlineNormConfig,
    OwnNormConfig,
    SyncBatchNormConfig,
)
from wsnet.layers.batch_renorm import BatchRenorm2d
from wsnet.layers.evonorm import ChannelAffine, EvoNormS0
from wsnet.layers.filter_response import FilterResponseNorm2d, ThresholdedLinearUnit
from wsnet.layers.ghost_batch_norm import GhostBatchNorm2d
from wsnet.layers.layer_norm import LayerNorm2d
from wsnet.layers.online_norm import OnlineNorm2d
from wsnet.layers.own_norm import make_own_norm
from wsnet.layers.sync_batch_norm import SyncBatchNorm2d

__all__ = ["NORMS", "After", "Before", "Size", "make_activation", "make_norm"]

Before = Literal["activation", "sum"]
"""What a norm comes before: an activation, or the sum that ends a residual block."""
After = Literal["norm", "sum"]
"""What an activation comes after: a norm, or the sum that ends a residual block."""

ACTIVATIONS: dict[tuple[str, After], Callable[[int], nn.Module]] = {
    # Singh & Krishnan 2020: the TLU in place of every ReLU.
    ("filter_response", "norm"): ThresholdedLinearUnit,
    ("filter_response", "sum"): ThresholdedLinearUnit,
    # EvoNorm has activated already. Its authors' ResNet keeps the ReLU after the sum (tensorflow/tpu, resnet_model.py).
    ("evonorm_s0", "norm"): lambda channels: nn.Identity(),
}
"""From (norm, what it comes after) and the channels to the activation; what is not here is a ReLU."""


def make_activation(config: NormConfig, channels: int, after: After, *, in_place: bool = True) -> nn.Module:
    """The activation of a network with this norm, for maps of N x channels x height x width.

    Args:
        config: the norm.
        channels: of the maps.
        after: what the activation comes after.
        in_place: whether it may write into its input.
    """
    make = ACTIVATIONS.get((config.name, after))
    return nn.ReLU(inplace=in_place) if make is None else make(channels)


Size = tuple[int, int]
"""(height, width) of a map."""


def batch(config: BatchNormConfig, channels: int, size: Size) -> nn.Module:
    """Batch normalization (Ioffe & Szegedy 2015): statistics of each channel over the batch; running ones in eval."""
    return nn.BatchNorm2d(channels, eps=config.eps, momentum=config.momentum)


def sync_batch(config: SyncBatchNormConfig, channels: int, size: Size) -> nn.Module:
    """Batch normalization with the statistics of all workers' images."""
    return SyncBatchNorm2d(channels, eps=config.eps, momentum=config.momentum)


def ghost_batch(config: GhostBatchNormConfig, channels: int, size: Size) -> nn.Module:
    """Ghost batch normalization (Hoffer et al. 2017): batch normalization of sub-batches."""
    return GhostBatchNorm2d(channels, config.ghost_size, eps=config.eps, momentum=config.momentum)


def batch_renorm(config: BatchRenormConfig, channels: int, size: Size) -> nn.Module:
    """Batch renormalization (Ioffe 2017): batch normalization, corrected towards the running statistics."""
    return BatchRenorm2d(channels, **config.model_dump(exclude={"name"}))


def group(config: GroupNormConfig, channels: int, size: Size) -> nn.Module:
    """Group normalization (Wu & He 2018): statistics of each image over groups of channels."""
    _check_groups(config.groups, "group", channels, size)
    return nn.GroupNorm(config.groups, channels, eps=config.eps)


def layer(config: LayerNormConfig, channels: int, size: Size) -> nn.Module:
    """Layer normalization (Ba et al. 2016): statistics of each image over channels, height and width."""
    _need_more_than_one_element(channels * size[0] * size[1], "layer", channels, size)
    return LayerNorm2d(channels, size, affine=config.affine, eps=config.eps)


def instance(config: InstanceNormConfig, channels: int, size: Size) -> nn.Module:
    """Instance normalization (Ulyanov et al. 2016): statistics of each image and channel, in eval too."""
    _need_more_than_one_element(size[0] * size[1], "instance", channels, size)
    return nn.InstanceNorm2d(channels, eps=config.eps, affine=config.affine, track_running_stats=False)


def filter_response(config: FilterResponseNormConfig, channels: int, size: Size) -> nn.Module:
    """Filter response normalization (Singh & Krishnan 2020): each image and channel by its root mean square."""
    if size == (1, 1) and not config.learned_eps:
        # x / sqrt(x^2 + eps) is x's sign, and has no gradient.
        raise ValueError(
            "filter_response normalization of a single element needs learned_eps, but got learned_eps=False, "
            f"channels={channels} and a map of 1x1"
        )
    return FilterResponseNorm2d(channels, eps=config.eps, learned_eps=config.learned_eps)


def evonorm_s0(config: EvoNormS0Config, channels: int, size: Size) -> nn.Module:
    """EvoNorm-S0 (Liu et al. 2020): statistics of each image over groups of channels, and an activation."""
    _check_groups(config.groups, "evonorm_s0", channels, size)
    return EvoNormS0(channels, config.groups, eps=config.eps)


def online(config: OnlineNormConfig, channels: int, size: Size) -> nn.Module:
    """Online normalization (Chiley et al. 2019): running statistics of the images before each."""
    return OnlineNorm2d(channels, **config.model_dump(exclude={"name"}))


def none(config: NoNormConfig, channels: int, size: Size) -> nn.Module:
    """No normalization."""
    return nn.Identity()


NORMS: dict[str, Callable[[Any, int, Size], nn.Module]] = {
    "batch": batch,
    "sync_batch": sync_batch,
    "ghost_batch": ghost_batch,
    "batch_renorm": batch_renorm,
    "group": group,
    "layer": layer,
    "instance": instance,
    "filter_response": filter_response,
    "evonorm_s0": evonorm_s0,
    "online": online,
    "none": none,
}


BEFORE_SUM: dict[str, Callable[[int], nn.Module]] = {
    # Its statistics come with its activation; the authors' ResNet has the scale and shift only (tensorflow/tpu,
    # resnet_model.py, nonlinearity=False).
    "evonorm_s0": ChannelAffine,
}
"""Norms that are something else where a sum and no activation follows, from the channels."""


def make_norm(config: NormConfig, channels: int, size: Size, before: Before = "activation") -> nn.Module:
    """The norm of a configuration, for maps of N x channels x height x width.

    Args:
        config: which norm, with its options.
        channels: C.
        size: (height, width) of the maps.
        before: whether an activation or the sum of a residual block comes next.

    Raises:
        ValueError: the norm can not normalize maps of this shape.
    """
    if isinstance(config, OwnNormConfig):
        return make_own_norm(config, channels, size)
    if before == "sum" and config.name in BEFORE_SUM:
        return BEFORE_SUM[config.name](channels)
    return NORMS[config.name](config, channels, size)


def _check_groups(groups: int, norm: str, channels: int, size: Size) -> None:
    if channels % groups:
        raise ValueError(f"groups must divide the channels, but got groups={groups}, channels={channels}")
    _need_more_than_one_element(channels // groups * size[0] * size[1], norm, channels, size)


def _need_more_than_one_element(elements: int, norm: str, channels: int, size: Size) -> None:
    # Normalizing a single element by itself gives zero, whatever the image: the network would not see its input.
    if elements == 1:
        raise ValueError(
            f"{norm} normalization needs more than one element to take statistics over, but got channels={channels} "
            f"and a map of {size[0]}x{size[1]}; use larger images, fewer stages or another norm"
        )
