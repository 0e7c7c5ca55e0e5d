"""Blocks computed again in the backward pass: less memory, the same bits."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.configs import NORMS, config, network
from wsnet.config import TrialConfig
from wsnet.layers import LayerRandomness
from wsnet.models import ModelError, activation_bytes, build

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "cifar_resnet": {"depth": 8, "width": 8},
    "preact_resnet": {"depth": 8, "width": 8},
    "wrn": {"depth": 10, "widening": 1, "dropout": 0.3},
    "cifar_densenet": {"depth": 16, "growth_rate": 8, "dropout": 0.2},
    "pyramidnet": {"depth": 8, "alpha": 24.0, "width": 8},
    "shake_shake": {"depth": 8, "width": 8},
    "resnet": {"depth": 50, "stem": "cifar"},
}


def trained(model: nn.Module, steps: int = 3) -> list[torch.Tensor]:
    """Everything that two training steps leave, and what an evaluation gives then."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    randomness, generator = LayerRandomness(model, 0), torch.Generator().manual_seed(0)
    losses = []
    for step in range(steps):
        randomness.set_step(step)
        x = torch.randn(4, 3, 8, 8, generator=generator)
        loss = F.cross_entropy(model(x), torch.tensor([1, 2, 3, 4]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return [*losses, *model.state_dict().values(), model.eval()(x).detach()]


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["wrn", "cifar_densenet", "shake_shake"])
def test_the_same_bits_with_every_norm(name: str, norm: str) -> None:
    assert_same_bits(name, norm)


@pytest.mark.parametrize("name", ["cifar_resnet", "preact_resnet", "pyramidnet"])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_same_bits_in_every_architecture(name: str, norm: str) -> None:
    assert_same_bits(name, norm)


def assert_same_bits(name: str, norm: str) -> None:
    options = ARCHITECTURES[name]
    plain, again = (
        network(config(name, norm, checkpointing=on, **options), classes=10, shape=(3, 8, 8)) for on in (False, True)
    )
    for expected, seen in zip(trained(plain), trained(again), strict=True):
        assert torch.equal(expected, seen)


def test_running_statistics_move_once_a_step() -> None:
    model = network(config("cifar_resnet", depth=8, checkpointing=True), classes=10, shape=(3, 8, 8))
    trained(model, steps=3)
    assert model.get_buffer("layer1.0.bn1.num_batches_tracked") == 3


def test_without_a_seed_dropout_is_repeated_too() -> None:
    options = ARCHITECTURES["wrn"]
    grads = []
    for on in (False, True):
        model = network(config("wrn", checkpointing=on, **options), classes=10, shape=(3, 8, 8))
        for module in model.modules():
            if hasattr(module, "has_step"):
                module.has_step = False
        torch.manual_seed(0)
        model(torch.ones(2, 3, 8, 8)).square().sum().backward()
        grads.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_a_copy_computes_its_own_blocks() -> None:
    model = network(config("cifar_resnet", depth=8, checkpointing=True), classes=10, shape=(3, 8, 8)).eval()
    other = copy.deepcopy(model)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert other(torch.randn(2, 3, 8, 8)).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_less_is_kept(name: str) -> None:
    plain, less = (
        activation_bytes(config(name, checkpointing=on, **ARCHITECTURES[name]), 10, (3, 16, 16)) for on in (False, True)
    )
    assert less < plain / 2


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(ModelError, match="checkpointing recomputes residual or dense blocks"):
        build(config("torchvision", architecture="squeezenet1_1", checkpointing=True), classes=10, shape=(3, 32, 32))


@pytest.mark.slow
def test_the_two_big_nets_fit_12_gigabytes_at_batch_64() -> None:
    def taken(name: str, **options: Any) -> int:
        return 64 * activation_bytes(config(name, **options), 10, (3, 32, 32))

    densenet = {"depth": 190, "growth_rate": 40}
    assert taken("cifar_densenet", **densenet) > 12e9
    assert taken("cifar_densenet", **densenet, checkpointing=True) < 2e9
    assert taken("wrn", depth=28, widening=10, dropout=0.3, checkpointing=True) < 2e9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    ("name", "options"),
    [("cifar_densenet", {"depth": 190, "growth_rate": 40}), ("wrn", {"depth": 28, "widening": 10, "dropout": 0.3})],
)
def test_a_step_of_64_images_takes_less_than_12_gigabytes(name: str, options: dict[str, Any]) -> None:
    model = network(config(name, checkpointing=True, **options), classes=10, shape=(3, 32, 32))
    model = model.cuda().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        images = torch.randn(64, 3, 32, 32, device="cuda").to(memory_format=torch.channels_last)
        F.cross_entropy(model(images), torch.arange(64, device="cuda") % 10).backward()
        optimizer.step()
    assert torch.cuda.max_memory_reserved() < 12e9


def test_compiling_it_is_refused() -> None:
    trial = {
        "data": {"name": "digits"},
        "model": {"name": "cifar_resnet", "depth": 8, "checkpointing": True},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": 8},
    }
    TrialConfig.model_validate(trial)
    with pytest.raises(ValueError, match=r"model\.checkpointing cannot be compiled yet"):
        TrialConfig.model_validate({**trial, "execution": {"compile": True}})
