"""Filters computed once for several micro-batches give the gradients of every pass on its own."""

from typing import Literal

import pytest
import torch
from torch import nn

from wsnet.config.norm import GroupNormConfig
from wsnet.layers import Layers, StandardizedConv2d, initialize, once_per_step


def network(weight: Literal["none", "standardized", "normalized"]) -> nn.Module:
    layers = Layers(GroupNormConfig(name="group", groups=2), weight)
    model = nn.Sequential(
        layers.conv(3, 8, 3), layers.norm(8, size=(6, 6)), nn.ReLU(), layers.conv(8, 4, 3, groups=2, bias=True)
    )
    initialize(model, 0)
    return model.to(memory_format=torch.channels_last)


def gradients(model: nn.Module) -> list[torch.Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


MICRO_BATCHES = torch.randn(12, 3, 6, 6, generator=torch.Generator().manual_seed(0)).split(3)


@pytest.mark.parametrize("weight", ["none", "standardized", "normalized"])
def test_gradients_are_the_same(weight: Literal["none", "standardized", "normalized"]) -> None:
    model = network(weight)
    for images in MICRO_BATCHES:
        model(images).square().mean().backward()
    expected = gradients(model)
    model.zero_grad()
    with once_per_step(model):
        for images in MICRO_BATCHES:
            model(images).square().mean().backward()
    found = gradients(model)
    assert len(found) == len(expected) == len(list(model.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6 * theirs.abs().max().item())


def test_filters_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, computed = network("standardized"), []
    filters = StandardizedConv2d.filters
    monkeypatch.setattr(StandardizedConv2d, "filters", lambda self: computed.append(self) or filters(self))
    with once_per_step(model):
        for images in MICRO_BATCHES:
            model(images).sum().backward()
    assert len(computed) == 2
    model(MICRO_BATCHES[0])
    assert len(computed) == 4


def test_the_next_step_sees_the_new_weights() -> None:
    model, x = network("standardized"), MICRO_BATCHES[0]
    for _ in range(2):
        with once_per_step(model):
            model(x).square().mean().backward()
            inside = model(x)
        assert torch.equal(inside, model(x))
        torch.optim.SGD(model.parameters(), lr=0.1).step()


def test_evaluation_and_errors_leave_nothing_behind() -> None:
    model = network("standardized")
    with torch.no_grad(), once_per_step(model):
        model(MICRO_BATCHES[0])
    with pytest.raises(RuntimeError, match="inside"), once_per_step(model):
        model(MICRO_BATCHES[0]).sum().backward()
        raise RuntimeError("inside")
    convs = [module for module in model.modules() if isinstance(module, StandardizedConv2d)]
    assert all(conv.held is None and conv.weight.grad is None for conv in convs)
