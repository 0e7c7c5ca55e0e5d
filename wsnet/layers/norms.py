"""The norms by their name in the configuration, and the activation that goes with each."""

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
from wsnet.layers.instance_norm import InstanceNorm2d
from wsnet.layers.layer_norm import LayerNorm2d
from wsnet.layers.online_norm import OnlineNorm2d
from wsnet.layers.own_norm import make_own_norm
from wsnet.layers.sync_batch_norm import SyncBatchNorm2d

__all__ = ["NORMS", "After", "Before", "Size", "make_activation", "make_norm"]

Size = tuple[int, int]
"""(height, width) of a map."""
Before = Literal["activation", "sum"]
"""What a norm comes before: an activation, or the sum that ends a residual block."""
After = Literal["norm", "sum"]
"""What an activation comes after: a norm, or the sum that ends a residual block."""


def _batch(config: BatchNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Batch normalization (Ioffe & Szegedy 2015): statistics of each channel over the batch; running ones in eval."""
    return nn.BatchNorm2d(replicates * channels, eps=config.eps, momentum=config.momentum)


def _sync_batch(config: SyncBatchNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Batch normalization with the statistics of all workers' images."""
    return SyncBatchNorm2d(replicates * channels, eps=config.eps, momentum=config.momentum)


def _ghost_batch(config: GhostBatchNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Ghost batch normalization (Hoffer et al. 2017): batch normalization of sub-batches."""
    return GhostBatchNorm2d(replicates * channels, config.ghost_size, eps=config.eps, momentum=config.momentum)


def _batch_renorm(config: BatchRenormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Batch renormalization (Ioffe 2017): batch normalization, corrected towards the running statistics."""
    return BatchRenorm2d(replicates * channels, **config.model_dump(exclude={"name"}))


def _group(config: GroupNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Group normalization (Wu & He 2018): statistics of each image over groups of channels."""
    _check_groups(config.groups, "group", channels, size)
    return nn.GroupNorm(replicates * config.groups, replicates * channels, eps=config.eps)


def _layer(config: LayerNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Layer normalization (Ba et al. 2016): statistics of each image over channels, height and width."""
    _need_more_than_one_element(channels * size[0] * size[1], "layer", channels, size)
    return LayerNorm2d(replicates * channels, size, affine=config.affine, eps=config.eps, replicates=replicates)


def _instance(config: InstanceNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Instance normalization (Ulyanov et al. 2016): statistics of each image and channel, in eval too."""
    _need_more_than_one_element(size[0] * size[1], "instance", channels, size)
    return InstanceNorm2d(replicates * channels, eps=config.eps, affine=config.affine)


def _filter_response(config: FilterResponseNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Filter response normalization (Singh & Krishnan 2020): divides each image and channel by its root mean square."""
    if size == (1, 1) and not config.learned_eps:
        # x / sqrt(x^2 + eps) is almost sign(x), which has no gradient.
        raise ValueError(
            "filter_response normalization of a single element needs learned_eps, but got learned_eps=False, "
            f"channels={channels} and a map of 1x1"
        )
    return FilterResponseNorm2d(replicates * channels, eps=config.eps, learned_eps=config.learned_eps)


def _evonorm_s0(config: EvoNormS0Config, channels: int, size: Size, replicates: int) -> nn.Module:
    """EvoNorm-S0 (Liu et al. 2020): statistics of each image over groups of channels, and an activation."""
    _check_groups(config.groups, "evonorm_s0", channels, size)
    return EvoNormS0(replicates * channels, replicates * config.groups, eps=config.eps)


def _online(config: OnlineNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """Online normalization (Chiley et al. 2019): running statistics of the preceding images."""
    return OnlineNorm2d(replicates * channels, replicates=replicates, **config.model_dump(exclude={"name"}))


def _none(config: NoNormConfig, channels: int, size: Size, replicates: int) -> nn.Module:
    """No normalization."""
    return nn.Identity()


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


NORMS: dict[str, Callable[[Any, int, Size, int], nn.Module]] = {
    "batch": _batch,
    "sync_batch": _sync_batch,
    "ghost_batch": _ghost_batch,
    "batch_renorm": _batch_renorm,
    "group": _group,
    "layer": _layer,
    "instance": _instance,
    "filter_response": _filter_response,
    "evonorm_s0": _evonorm_s0,
    "online": _online,
    "none": _none,
}
"""Functions from (configuration, channels, size, replicates) to the norm, by the norm's name."""

_BEFORE_SUM: dict[str, Callable[[int], nn.Module]] = {
    # Statistics and activation are one operation; before a sum the authors' ResNet has only the scale and shift
    # (tensorflow/tpu, resnet_model.py, nonlinearity=False).
    "evonorm_s0": ChannelAffine,
}
"""What replaces a norm with a built-in activation before a sum: functions from the channels to the module."""


def make_norm(
    config: NormConfig, channels: int, size: Size, before: Before = "activation", *, replicates: int = 1
) -> nn.Module:
    """The norm of a configuration, for maps of N x channels x height x width.

    Args:
        config: which norm, with its options.
        channels: C.
        size: (height, width) of the maps.
        before: whether an activation or the sum of a residual block comes next.
        replicates: networks side by side, each with this many channels (see `wsnet.layers.stacking`).

    Raises:
        ValueError: the norm cannot normalize maps of this shape.
    """
    if isinstance(config, OwnNormConfig):
        assert replicates == 1, "a norm of one's own may mix the channels of several networks"
        return make_own_norm(config, channels, size)
    if before == "sum" and config.name in _BEFORE_SUM:
        return _BEFORE_SUM[config.name](replicates * channels)
    return NORMS[config.name](config, channels, size, replicates)


_ACTIVATIONS: dict[tuple[str, After], Callable[[int, bool], nn.Module]] = {
    # Singh & Krishnan 2020: the TLU in place of every ReLU.
    ("filter_response", "norm"): lambda channels, in_place: ThresholdedLinearUnit(channels, in_place=in_place),
    ("filter_response", "sum"): lambda channels, in_place: ThresholdedLinearUnit(channels, in_place=in_place),
    # EvoNorm has an activation. Its authors' ResNet keeps the ReLU after the sum (tensorflow/tpu, resnet_model.py).
    ("evonorm_s0", "norm"): lambda channels, in_place: nn.Identity(),
}
"""Activations by norm and by what precedes them: functions from (channels, in_place); all others are ReLUs."""


def make_activation(config: NormConfig, channels: int, after: After, *, in_place: bool = True) -> nn.Module:
    """The activation of a network with this norm, for maps of N x channels x height x width.

    Args:
        config: the norm.
        channels: of the maps.
        after: what the activation comes after.
        in_place: whether it may write into its input.
    """
    make = _ACTIVATIONS.get((config.name, after))
    return nn.ReLU(inplace=in_place) if make is None else make(channels, in_place)
