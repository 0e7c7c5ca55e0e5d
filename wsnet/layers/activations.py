"""Activations by the norm before them: the ReLU, unless the norm's paper replaces it."""

from collections.abc import Callable
from typing import Literal

from torch import nn

from wsnet.config.norm import NormConfig
from wsnet.layers.filter_response import ThresholdedLinearUnit

__all__ = ["After", "Before", "make_activation"]

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
