"""The optimizers are torch's plain ones."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from wsnet.config.optim import OptimConfig
from wsnet.training.optimizer import build_optimizer, restore_optimizer


def built(parameters: list[nn.Parameter], **optim: Any) -> torch.optim.Optimizer:
    config: Any = TypeAdapter(OptimConfig).validate_python(optim)
    return build_optimizer(config, parameters)


def parameters() -> list[nn.Parameter]:
    """A convolution's weights, channels last, and a bias."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(8, 4, 3, 3, generator=generator).contiguous(memory_format=torch.channels_last)
    return [nn.Parameter(weight), nn.Parameter(torch.randn(8, generator=generator))]


def step(optimizer: torch.optim.Optimizer, seed: int) -> None:
    """One step on made-up gradients."""
    generator = torch.Generator().manual_seed(seed)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.empty_like(parameter).copy_(torch.randn(parameter.shape, generator=generator))
    optimizer.step()


SGD = {"name": "sgd", "lr": 0.1, "weight_decay": 0.01}
ADAM = {"name": "adam", "lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.01}
PLAIN = {
    "sgd": (SGD, lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01, foreach=False)),
    "momentum": (
        {**SGD, "momentum": 0.9},
        lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01, momentum=0.9, foreach=False),
    ),
    "nesterov": (
        {**SGD, "momentum": 0.9, "nesterov": True},
        lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01, momentum=0.9, nesterov=True, foreach=False),
    ),
    "adam": (
        ADAM,
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.01, foreach=False),
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_the_fused_optimizer_is_the_plain_one(name: str) -> None:
    optim, plain = PLAIN[name]
    ours, theirs = parameters(), parameters()
    one, other = built(ours, **optim), plain(theirs)
    for seed in range(20):
        step(one, seed)
        step(other, seed)
    for mine, its in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", PLAIN)
def test_a_restored_optimizer_goes_on_alike_whatever_the_memory_format_was(name: str) -> None:
    straight, resumed = parameters(), parameters()
    one = built(straight, **PLAIN[name][0])
    for seed in range(3):
        step(one, seed)
    saved = {
        index: {key: value.contiguous() if isinstance(value, Tensor) else value for key, value in state.items()}
        for index, state in one.state_dict()["state"].items()
    }
    with torch.no_grad():
        for target, source in zip(resumed, straight, strict=True):
            target.copy_(source)
    other = built(resumed, **PLAIN[name][0])
    restore_optimizer(other, saved)
    for seed in range(3, 6):
        step(one, seed)
        step(other, seed)
    assert all(torch.equal(mine, its) for mine, its in zip(straight, resumed, strict=True))


def test_options_are_the_configurations_not_the_checkpoints() -> None:
    old = built(parameters(), **SGD, momentum=0.9)
    step(old, 0)
    new = built(parameters(), **{**SGD, "weight_decay": 0.5}, momentum=0.8)
    restore_optimizer(new, old.state_dict()["state"])
    assert (new.param_groups[0]["weight_decay"], new.param_groups[0]["momentum"]) == (0.5, 0.8)


@pytest.mark.parametrize(("old", "new"), [({**SGD, "momentum": 0.9}, ADAM), (ADAM, SGD)])
def test_another_kind_of_optimizer_is_refused(old: dict[str, Any], new: dict[str, Any]) -> None:
    source = built(parameters(), **old)
    step(source, 0)
    with pytest.raises(ValueError, match="another kind of optimizer"):
        restore_optimizer(built(parameters(), **new), source.state_dict()["state"])
