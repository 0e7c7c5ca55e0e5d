"""Normalizations, weight reparametrizations, and the `Layers` maker that hands them to the models."""

from wsnet.layers.initialize import initialize
from wsnet.layers.layer_norm import LayerNorm2d
from wsnet.layers.maker import Layers
from wsnet.layers.norms import NORMS, Size, make_norm, uses_batch_statistics
from wsnet.layers.standardized import StandardizedConv2d, standardize

__all__ = [
    "NORMS",
    "LayerNorm2d",
    "Layers",
    "Size",
    "StandardizedConv2d",
    "initialize",
    "make_norm",
    "standardize",
    "uses_batch_statistics",
]
