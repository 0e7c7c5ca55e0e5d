"""Which convolutions of a model come before its norms, and the same ones with reparametrized weights."""

from collections.abc import Collection
from typing import Any, Literal

import torch
from torch import nn

from wsnet.config.errors import ConfigError, Mistake
from wsnet.layers.convolution import Conv2d
from wsnet.layers.weights import NormalizedConv2d, ReparametrizedConv2d, StandardizedConv2d

__all__ = ["convolutions_before", "reparametrized"]

_KINDS: dict[str, type[ReparametrizedConv2d]] = {"standardized": StandardizedConv2d, "normalized": NormalizedConv2d}
_OPTIONS = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
_BARRIERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)
"""Layers with weights; a norm belongs to the last of them."""


def convolutions_before(model: nn.Module, norms: Collection[nn.Module]) -> dict[str, nn.Conv2d]:
    """By name, the last convolution registered before each norm, with no other layer with weights between."""
    found: dict[str, nn.Conv2d] = {}
    last: tuple[str, nn.Module] | None = None
    for name, module in model.named_modules():
        if isinstance(module, _BARRIERS):
            last = name, module
        elif module in norms and last is not None:
            if isinstance(last[1], nn.Conv2d):
                found[last[0]] = last[1]
            last = None
    return found


def reparametrized(
    convolutions: dict[str, nn.Conv2d], weight: Literal["standardized", "normalized"], *, place: str
) -> dict[nn.Module, nn.Module]:
    """The same convolutions, with the same parameters, by the convolution that each replaces.

    Raises:
        ConfigError: one is of a class of its own, or its filters have a single element.
    """
    kind, new = _KINDS[weight], dict[nn.Module, nn.Module]()
    for name, conv in convolutions.items():
        if isinstance(conv, kind):
            continue
        if type(conv) not in (nn.Conv2d, Conv2d):
            text = (
                f"only nn.Conv2d can be {weight}, but this is a {type(conv).__name__}, whose own computation would be "
                "lost; leave out weight"
            )
            raise ConfigError([Mistake(place, name, text)])
        try:
            new[conv] = _like(conv, kind)
        except ValueError as error:
            raise ConfigError([Mistake(place, name, str(error))]) from error
    return new


def _like(conv: nn.Conv2d, kind: type[ReparametrizedConv2d]) -> ReparametrizedConv2d:
    with torch.random.fork_rng(devices=[]):  # Its first weights are thrown away.
        options: dict[str, Any] = {name: getattr(conv, name) for name in _OPTIONS}
        made = kind(
            conv.in_channels,
            conv.out_channels,
            bias=conv.bias is not None,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
            **options,
        )
    made.weight, made.bias = conv.weight, conv.bias
    if isinstance(made, NormalizedConv2d):
        made.reset_gain()
    return made.train(conv.training)
