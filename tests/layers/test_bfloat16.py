"""`train.precision: bfloat16`: activations are in bfloat16, statistics and reparametrized filters are not."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from tests.models.configs import NORMS
from wsnet.config.norm import NormConfig
from wsnet.layers import Conv2d, NormalizedConv2d, StandardizedConv2d, make_norm

LAYERS: dict[str, dict[str, Any]] = {
    **NORMS,
    "ghost_batch-2": {"name": "ghost_batch", "ghost_size": 2},
    "ghost_batch-4 and the rest": {"name": "ghost_batch", "ghost_size": 4},
}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def made(norm: str) -> nn.Module:
    """A norm for 8 x 5 x 5 maps, with parameters away from their initial values."""
    config: NormConfig = TypeAdapter(NormConfig).validate_python(LAYERS[norm])
    layer, generator = make_norm(config, 8, (5, 5)), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.rand(parameter.shape, generator=generator))
    return layer


def maps(seed: int, layout: torch.memory_format) -> Tensor:
    """Maps of bfloat16 numbers, of mean 3 and deviation 2."""
    x = 3 + 2 * torch.randn(6, 8, 5, 5, generator=torch.Generator().manual_seed(seed))
    return x.bfloat16().contiguous(memory_format=layout)


def step(layer: nn.Module, x: Tensor, *, mixed: bool) -> tuple[Tensor, list[Tensor]]:
    """Output of a training step, and the gradients of input and parameters."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        out = layer(x)
    gradient = torch.randn(out.shape, generator=torch.Generator().manual_seed(9)).bfloat16().to(out.dtype)
    return out.detach(), list(torch.autograd.grad(out, [x, *layer.parameters()], gradient))


def assert_near(found: Tensor, exact: Tensor, bits: float) -> None:
    """Equal up to rounding to so many bits of the largest value."""
    assert found.isfinite().all()
    torch.testing.assert_close(found.float(), exact, rtol=0, atol=2.0**-bits * float(exact.abs().max()))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("norm", LAYERS)
def test_a_norm_of_bfloat16_maps_keeps_and_computes_its_statistics_in_float32(
    norm: str, layout: torch.memory_format
) -> None:
    layer = made(norm)
    exact = deepcopy(layer)
    for seed in range(3):
        x = maps(seed, layout)
        (out, grads), (out32, grads32) = step(layer, x, mixed=True), step(exact, x.float(), mixed=False)
        assert_near(out, out32, 7)
        for found, wanted in zip(grads, grads32, strict=True):
            assert_near(found, wanted, 6)
        assert all(gradient.dtype == torch.float32 for gradient in grads[1:])
    for name, buffer in layer.named_buffers():
        wanted = exact.get_buffer(name)
        assert buffer.dtype == wanted.dtype != torch.bfloat16, name
        # The gradients of online norm's u and v are rounded before it sees them; statistics of activations are not.
        bits = 6 if norm == "online" and name in ("u", "v") else 18
        assert_near(buffer, wanted.float(), bits) if buffer.is_floating_point() else torch.equal(buffer, wanted)


@pytest.mark.parametrize("norm", LAYERS)
def test_a_norm_evaluates_bfloat16_maps_with_the_same_statistics(norm: str) -> None:
    layer, x = made(norm), maps(0, torch.channels_last)
    step(layer, x.float(), mixed=False)
    layer.eval()
    with torch.no_grad():
        exact = layer(x.float())
        with torch.autocast("cpu", torch.bfloat16):
            assert_near(layer(x), exact, 7)


@pytest.mark.parametrize("kind", [StandardizedConv2d, NormalizedConv2d])
def test_filters_are_reparametrized_in_float32_and_then_rounded(kind: type[nn.Conv2d]) -> None:
    torch.manual_seed(0)
    conv = kind(8, 16, 3, padding=1, bias=False)
    seen: list[Tensor] = []
    plain = Conv2d._conv_forward

    def spied(self: Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        seen.append(weight)
        return plain(self, x, weight, bias)

    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", torch.bfloat16):
        patch.setattr(Conv2d, "_conv_forward", spied)
        out = conv(maps(0, torch.channels_last))
        exact = conv.filters()
    assert out.dtype == torch.bfloat16
    assert seen[0].dtype == torch.float32 and torch.equal(seen[0], exact)
    (gradient,) = torch.autograd.grad(out.float().square().sum(), [conv.weight])
    assert gradient.dtype == torch.float32 and gradient.isfinite().all()
