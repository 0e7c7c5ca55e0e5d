"""Images, norms with parameters that are not one and zero, and comparisons with a plain formula in float64."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from wsnet.config.norm import NormConfig
from wsnet.layers import Layers

N, C, H, W = 5, 8, 6, 7


def images(count: int = N, seed: int = 0) -> Tensor:
    """float64 images, far from mean 0 and variance 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, C, H, W, generator=generator, dtype=torch.float64) * 3 + 2


def made(config: NormConfig, channels: int = C, size: tuple[int, int] = (H, W)) -> Any:
    """The norm of a configuration, in float64, every parameter drawn from 0.5 to 1.5."""
    return drawn(Layers(config).norm(channels, size=size))


def drawn(module: nn.Module) -> Any:
    """The module in float64, every parameter drawn from 0.5 to 1.5."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.double().parameters():
        parameter.data.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return module


def per_channel(parameter: Tensor) -> Tensor:
    """C to C x 1 x 1."""
    return parameter[:, None, None]


def assert_same_with_gradients(module: Any, formula: Callable[[Tensor], Tensor], x: Tensor, **close: float) -> None:
    """The module gives the formula's values and the formula's gradients (by autograd), in both memory formats.

    In training a module may change its state, so the formula is evaluated first.
    """
    state = {name: value.clone() for name, value in module.state_dict().items()}
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
    variables = [x.clone().requires_grad_(), *module.parameters()]
    expected = formula(variables[0])
    gradients = torch.autograd.grad(expected, variables, weights)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        module.load_state_dict(state)
        variables[0] = x.to(memory_format=memory_format, copy=True).requires_grad_()
        found = module(variables[0])
        assert found.is_contiguous(memory_format=memory_format)
        torch.testing.assert_close(found, expected, **close)
        for ours, theirs in zip(torch.autograd.grad(found, variables, weights), gradients, strict=True):
            torch.testing.assert_close(ours, theirs, **close)
