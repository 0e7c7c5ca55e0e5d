"""The convolution that is kept away from a broken kernel; without that, the second test crashes on CPUs with AVX2."""

import pytest
import torch
from torch import nn

from wsnet.config.norm import NoNormConfig
from wsnet.layers import Layers, convolution


def convolved(conv: nn.Conv2d, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    conv.zero_grad()
    y = conv(x)
    y.square().mean().backward()
    assert x.grad is not None and conv.weight.grad is not None
    return [y.detach(), x.grad, conv.weight.grad.clone()]


@pytest.mark.parametrize("size", [7, 8])
def test_picking_pixels_first_is_the_strided_convolution(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    conv = Layers(NoNormConfig(name="none")).conv(4, 8, 1, stride=2)
    x = torch.randn(2, 4, size, size)
    monkeypatch.setattr(convolution, "_HAS_AVX512", False)
    picked = convolved(conv, x)
    for one, other in zip(picked, convolved(_plain(conv), x), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("weight", ["none", "standardized", "normalized"])
@pytest.mark.parametrize("channels", [2, 4, 6])
def test_narrow_strided_filters_have_a_gradient_in_channels_last(channels: int, weight: str) -> None:
    layers = Layers(NoNormConfig(name="none"), weight)  # type: ignore[arg-type]
    conv = layers.conv(channels, 16, 1, stride=2).to(memory_format=torch.channels_last)
    x = torch.randn(32, channels, 32, 32)
    expected = convolved(conv, x)
    for _ in range(20):
        found = convolved(conv, x.to(memory_format=torch.channels_last))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_narrow_strided_filters_are_no_break_in_a_compiled_graph() -> None:
    conv = Layers(NoNormConfig(name="none")).conv(4, 8, 1, stride=2)
    x = torch.randn(2, 4, 7, 7)
    torch.testing.assert_close(torch.compile(conv, fullgraph=True, backend="eager")(x), conv(x))


def _plain(conv: nn.Conv2d) -> nn.Conv2d:
    plain = nn.Conv2d(conv.in_channels, conv.out_channels, 1, stride=conv.stride, bias=False)
    plain.load_state_dict(conv.state_dict())
    return plain
