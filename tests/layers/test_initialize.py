"""Initial weights depend on the seed and the parameter's name, and on nothing else."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from wsnet.config.norm import BatchNormConfig, GroupNormConfig, InstanceNormConfig, LayerNormConfig, NormConfig
from wsnet.layers import Layers, initialize
from wsnet.models.cifar_resnet import cifar_resnet
from wsnet.models.resnet import ResNet


def network(norm: NormConfig | None = None, seed: int = 0) -> ResNet:
    layers = Layers(norm or BatchNormConfig(name="batch"))
    model = cifar_resnet(layers, depth=8, classes=10, shape=(3, 8, 8))
    initialize(model, seed)
    return model


@pytest.mark.parametrize(
    "norm",
    [GroupNormConfig(name="group", groups=8), LayerNormConfig(name="layer"), InstanceNormConfig(name="instance")],
    ids=lambda norm: norm.name,
)
def test_convolutions_and_classifier_do_not_depend_on_the_norm(norm: NormConfig) -> None:
    batch, other = network().state_dict(), network(norm).state_dict()
    shared = [name for name in batch if "conv" in name or "fc" in name or "downsample.0" in name]
    assert len(shared) == 7 + 2 + 2
    for name in shared:
        assert torch.equal(batch[name], other[name]), name


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    a, b, c = network(seed=3), network(seed=3), network(seed=4)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.conv1.weight, c.conv1.weight)


def test_no_two_layers_get_the_same_weights() -> None:
    convs = [m.weight for m in network().modules() if isinstance(m, nn.Conv2d) and m.weight.shape == (16, 16, 3, 3)]
    assert len({w[0, 0, 0, 0].item() for w in convs}) == len(convs) > 1


def test_the_memory_format_does_not_matter() -> None:
    plain, model = network(seed=1), network(seed=0).to(memory_format=torch.channels_last)
    initialize(model, 1)
    assert all(torch.equal(x, y) for x, y in zip(plain.parameters(), model.parameters(), strict=True))


def test_the_global_generator_is_left_alone() -> None:
    model, state = network(), torch.get_rng_state()
    initialize(model, 1)
    assert torch.equal(state, torch.get_rng_state())


def test_training_is_forgotten() -> None:
    fresh, model = network(), network()
    model(torch.randn(4, 3, 8, 8))
    for parameter in model.parameters():
        parameter.data.fill_(7.0)
    initialize(model, 0)
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_convolutions_have_variance_two_over_fan_out() -> None:
    conv = nn.Conv2d(64, 128, 3, bias=True)
    initialize(conv, 0)
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.01)
    assert conv.weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert conv.bias is not None and not conv.bias.any()


def test_linear_layers_have_torchs_default_distribution() -> None:
    linear = nn.Linear(400, 100)
    initialize(linear, 0)
    for value in (linear.weight, linear.bias):
        assert value.abs().max().item() <= 0.05
        assert value.std().item() == pytest.approx(0.05 / math.sqrt(3), rel=0.15)


def test_norms_start_with_scale_one_and_shift_zero() -> None:
    norm: Any = Layers(LayerNormConfig(name="layer")).norm(4, size=(2, 2))
    nn.init.normal_(norm.weight)
    initialize(norm, 0)
    assert (norm.weight == 1).all() and (norm.bias == 0).all()


def test_fan_in_and_uniform_convolutions_are_options() -> None:
    layers = Layers(BatchNormConfig(name="batch"), init="fan_in")
    conv = layers.conv(64, 256, 3, groups=2)
    initialize(conv, 0)
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.01)
    conv = Layers(BatchNormConfig(name="batch"), init="uniform").conv(64, 256, 3, bias=True)
    initialize(conv, 0)
    assert conv.bias is not None
    for value in (conv.weight, conv.bias):
        assert value.abs().max().item() == pytest.approx(1 / math.sqrt(64 * 9), rel=0.02)


def test_a_normal_classifier_is_an_option() -> None:
    linear = Layers(BatchNormConfig(name="batch"), classifier_init="normal").linear(400, 100)
    initialize(linear, 0)
    assert linear.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not linear.bias.any()
