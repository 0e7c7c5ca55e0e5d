"""Normalizations and weight reparametrizations, one file each, and `Layers`, which hands them to the models."""

from wsnet.layers.batch_renorm import BatchRenorm2d
from wsnet.layers.convolution import Conv2d
from wsnet.layers.evonorm import ChannelAffine, EvoNormS0
from wsnet.layers.factory import Layers, norms_of
from wsnet.layers.filter_response import FilterResponseNorm2d, ThresholdedLinearUnit
from wsnet.layers.ghost_batch_norm import GhostBatchNorm2d
from wsnet.layers.initialize import initialize
from wsnet.layers.instance_norm import InstanceNorm2d
from wsnet.layers.layer_norm import LayerNorm2d
from wsnet.layers.norms import NORMS, Size, make_norm
from wsnet.layers.online_norm import OnlineNorm1d, OnlineNorm2d
from wsnet.layers.own_norm import OwnNormError, load_own_norm
from wsnet.layers.population_statistics import has_running_statistics, recompute_statistics, recomputed_statistics
from wsnet.layers.random_layers import Dropout, LayerRandomness, RandomLayer, ShakeShake
from wsnet.layers.stacking import StackedLinear
from wsnet.layers.sync_batch_norm import SyncBatchNorm2d
from wsnet.layers.weights import (
    NormalizedConv2d,
    StandardizedConv2d,
    initialize_from_data,
    normalize,
    once_per_step,
    standardize,
)

__all__ = [
    "NORMS",
    "BatchRenorm2d",
    "ChannelAffine",
    "Conv2d",
    "Dropout",
    "EvoNormS0",
    "FilterResponseNorm2d",
    "GhostBatchNorm2d",
    "InstanceNorm2d",
    "LayerNorm2d",
    "LayerRandomness",
    "Layers",
    "NormalizedConv2d",
    "OnlineNorm1d",
    "OnlineNorm2d",
    "OwnNormError",
    "RandomLayer",
    "ShakeShake",
    "Size",
    "StackedLinear",
    "StandardizedConv2d",
    "SyncBatchNorm2d",
    "ThresholdedLinearUnit",
    "has_running_statistics",
    "initialize",
    "initialize_from_data",
    "load_own_norm",
    "make_norm",
    "normalize",
    "norms_of",
    "once_per_step",
    "recompute_statistics",
    "recomputed_statistics",
    "standardize",
]
