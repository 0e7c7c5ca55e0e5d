"""The optimizers are torch's plain ones, and LARS is what its paper says."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from wsnet.config.optim import OptimConfig
from wsnet.layers.layer_norm import LayerNorm2d
from wsnet.layers.weights import NormalizedConv2d
from wsnet.training.optimizer import Optimizer


def optim_config(**optim: Any) -> OptimConfig:
    config: OptimConfig = TypeAdapter(OptimConfig).validate_python(optim)
    return config


def built(model: nn.Module, **optim: Any) -> Optimizer:
    return Optimizer(optim_config(**optim), model, batch_size=1, steps_per_epoch=1, epochs=1)


def convolution() -> nn.Module:
    """A convolution with weights, channels last, and a bias."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter).copy_(torch.randn(parameter.shape, generator=generator))


def step(optimizer: Optimizer | torch.optim.Optimizer, model: nn.Module, seed: int) -> None:
    """One step on made-up gradients."""
    give_gradients(model, seed)
    optimizer.step()


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(mine, its) for mine, its in zip(one.parameters(), other.parameters(), strict=True))


SGD = {"name": "sgd", "lr": 0.1, "weight_decay": 0.01}
SGD9 = {**SGD, "momentum": 0.9}
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
    "adamw": (
        {**ADAM, "name": "adamw"},
        lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.01, foreach=False),
    ),
}
LARS = {"name": "lars", "lr": 2.0, "momentum": 0.9, "weight_decay": 0.01, "trust_coefficient": 0.02}
ALL = {**{name: optim for name, (optim, _) in PLAIN.items()}, "lars": LARS}
PARTED = {"sgd": {**SGD, "momentum": 0.9}, "adam": ADAM, "adamw": {**ADAM, "name": "adamw"}, "lars": LARS}


@pytest.mark.parametrize("name", PLAIN)
def test_the_fused_optimizer_is_the_plain_one(name: str) -> None:
    optim, plain = PLAIN[name]
    ours, theirs = convolution(), convolution()
    one, other = built(ours, **optim), plain(theirs.parameters())
    for seed in range(20):
        step(one, ours, seed)
        step(other, theirs, seed)
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-6, atol=1e-6)


def test_lars_is_algorithm_1_of_its_paper() -> None:
    model, plain = convolution(), convolution()
    optimizer = built(model, **LARS)
    values = [parameter.detach().double() for parameter in plain.parameters()]
    velocities = [torch.zeros_like(value) for value in values]
    for seed in range(5):
        step(optimizer, model, seed)
        give_gradients(plain, seed)
        for index, parameter in enumerate(plain.parameters()):
            w, g = values[index], parameter.grad.double()  # type: ignore[union-attr]
            is_weight = index == 0  # The other one is the bias: no layer-wise rate.
            ratio = 0.02 * w.norm() / (g.norm() + 0.01 * w.norm()) if is_weight else 1.0
            velocities[index] = 0.9 * velocities[index] + 2.0 * ratio * (g + 0.01 * w)
            values[index] = w - velocities[index]
    for mine, value in zip(model.parameters(), values, strict=True):
        torch.testing.assert_close(mine.double(), value, rtol=1e-5, atol=1e-5)


def test_lars_moves_weights_that_are_all_zero() -> None:
    model = convolution()
    with torch.no_grad():
        model.weight.zero_()  # type: ignore[operator, union-attr]
    step(built(model, **LARS), model, 0)
    assert all(parameter.isfinite().all() and parameter.any() for parameter in model.parameters())


@pytest.mark.parametrize("name", ALL)
def test_a_restored_optimizer_goes_on_alike_whatever_the_memory_format_was(name: str) -> None:
    straight, resumed = convolution(), convolution()
    one = built(straight, **ALL[name])
    for seed in range(3):
        step(one, straight, seed)
    saved = {
        number: {key: value.contiguous() if isinstance(value, Tensor) else value for key, value in state.items()}
        for number, state in one.state_dict().items()
    }
    resumed.load_state_dict(straight.state_dict())
    other = built(resumed, **ALL[name])
    other.load_state_dict(saved)
    for seed in range(3, 6):
        step(one, straight, seed)
        step(other, resumed, seed)
    assert same(straight, resumed)


def test_options_are_the_configurations_not_the_checkpoints() -> None:
    before, after = convolution(), convolution()
    old = built(before, **SGD, momentum=0.9)
    step(old, before, 0)
    new = built(after, **{**SGD, "weight_decay": 0.5}, momentum=0.8)
    new.load_state_dict(old.state_dict())
    assert (new.base.param_groups[0]["weight_decay"], new.base.param_groups[0]["momentum"]) == (0.5, 0.8)


@pytest.mark.parametrize(("old", "new"), [({**SGD, "momentum": 0.9}, ADAM), (ADAM, SGD), (LARS, SGD), (SGD9, LARS)])
def test_another_kind_of_optimizer_is_refused(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = convolution(), convolution()
    source = built(before, **old)
    step(source, before, 0)
    with pytest.raises(ValueError, match="another kind of optimizer"):
        built(after, **new).load_state_dict(source.state_dict())


def network() -> nn.Module:
    """Weights, among them a gain; biases; norms, one of them with a scale for each element."""
    return nn.ModuleDict(
        {
            "norm": nn.BatchNorm2d(4),
            "conv": NormalizedConv2d(4, 8, 3),
            "layer": LayerNorm2d(8, (2, 2)),
            "head": nn.Linear(8, 3),
        }
    )


WEIGHTS = {"conv.weight", "conv.g", "head.weight"}


@pytest.mark.parametrize("name", PARTED)
def test_norms_and_biases_can_be_left_out_of_the_decay(name: str) -> None:
    decayed, alone = network(), network()
    alone.load_state_dict(decayed.state_dict())
    one = built(decayed, **PARTED[name], weight_decay_on="weights")
    other = built(alone, **{**PARTED[name], "weight_decay": 0.0})
    for seed in range(3):
        step(one, decayed, seed)
        step(other, alone, seed)
    plain = dict(alone.named_parameters())
    moved = {key for key, parameter in decayed.named_parameters() if not torch.equal(parameter, plain[key])}
    assert moved == WEIGHTS


def test_the_state_follows_the_parameter_from_one_group_to_another() -> None:
    old, new = network(), network()
    before = built(old, **SGD9)
    step(before, old, 0)
    after = built(new, **SGD9, weight_decay_on="weights")
    after.load_state_dict(before.state_dict())
    for one, other in zip(old.parameters(), new.parameters(), strict=True):
        assert torch.equal(before.base.state[one]["momentum_buffer"], after.base.state[other]["momentum_buffer"])
    assert after.state_dict().keys() == before.state_dict().keys() == before.base.state_dict()["state"].keys()


@pytest.mark.parametrize("bound", [0.5, 1e6])
def test_gradients_are_clipped_as_torch_does(bound: float) -> None:
    model, plain = network(), network()
    for which in ("clip_grad_norm", "clip_grad_value"):
        give_gradients(model, 0)
        give_gradients(plain, 0)
        built(model, **SGD, **{which: bound}).clip_gradients()
        getattr(nn.utils, f"{which}_")(plain.parameters(), bound)
        for one, other in zip(model.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


@pytest.mark.slow
def test_steps_import_torchs_compiler_only_once_something_is_compiled() -> None:
    code = """
import sys
import torch
from pydantic import TypeAdapter
from wsnet.config.optim import OptimConfig
from wsnet.training.optimizer import Optimizer

net = torch.nn.Linear(3, 2)
for name in ("sgd", "adam", "adamw", "lars"):
    optim = TypeAdapter(OptimConfig).validate_python({"name": name, "lr": 0.1})
    optimizer = Optimizer(optim, net, batch_size=4, steps_per_epoch=1, epochs=1)
    optimizer.zero_grad()
    net(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
assert "torch._dynamo" not in sys.modules
compiled = torch.compile(net, backend="eager")
assert torch.equal(compiled(torch.ones(4, 3)), net(torch.ones(4, 3)))
optimizer.step()
assert hasattr(sys.modules["torch._dynamo"], "optimize")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
