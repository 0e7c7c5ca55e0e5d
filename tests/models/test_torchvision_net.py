"""torchvision's networks, as they are there."""

from typing import Any

import pytest
import torch

from tests.models.configs import config, network
from wsnet.layers import Dropout, LayerRandomness, initialize
from wsnet.models import ModelError, build, parameter_count
from wsnet.models.torchvision_net import StochasticDepth


def theirs(architecture: str) -> Any:
    return config("torchvision", architecture=architecture)


@pytest.mark.parametrize(
    ("architecture", "size", "count"),
    [
        ("squeezenet1_0", 224, 1_248_424),
        ("squeezenet1_1", 224, 1_235_496),
        ("inception_v3", 299, 27_161_264),
        ("googlenet", 224, 13_004_888),
        ("mobilenet_v2", 224, 3_504_872),
    ],
)
def test_published_counts(architecture: str, size: int, count: int) -> None:
    assert parameter_count(theirs(architecture), 1000, (3, size, size)) == count


def test_initial_weights_depend_on_the_seed_alone() -> None:
    first, second = (network(theirs("squeezenet1_1"), classes=10, shape=(3, 32, 32), seed=3) for _ in range(2))
    before = torch.get_rng_state()
    initialize(second, 3)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    initialize(second, 4)
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_dropout_and_stochastic_depth_draw_by_seed_and_step() -> None:
    for architecture, kind in (("squeezenet1_1", Dropout), ("efficientnet_b0", StochasticDepth)):
        model = network(theirs(architecture), classes=10, shape=(3, 32, 32))
        assert any(isinstance(module, kind) for module in model.modules())
        assert not any(isinstance(module, torch.nn.Dropout) for module in model.modules())
        randomness, x = LayerRandomness(model, 0), torch.randn(4, 3, 32, 32)
        outputs = []
        for step in (0, 1, 0):
            randomness.set_step(step)
            outputs.append(model(x))
        assert torch.equal(outputs[0], outputs[2]) and not torch.equal(outputs[0], outputs[1])


def test_stochastic_depth_leaves_out_whole_images_and_keeps_the_mean() -> None:
    layer = StochasticDepth(0.25, "row")
    y = layer(torch.ones(4000, 2, 1, 1))
    assert torch.equal(y[:, 0], y[:, 1]) and set(y.unique().tolist()) == {0.0, torch.tensor(4 / 3).item()}
    assert abs(y.mean() - 1) < 0.05


@pytest.mark.parametrize(
    ("architecture", "shape", "text"),
    [
        ("squeezenet1_2", (3, 32, 32), "did you mean 'squeezenet1_"),
        ("resnet18", (1, 28, 28), "images with 3 channels, but got 1"),
        ("inception_v3", (3, 32, 32), "inception_v3 needs images of at least 299x299 pixels, but got 32x32"),
    ],
)
def test_what_torchvision_can_not_build_is_refused(architecture: str, shape: tuple[int, int, int], text: str) -> None:
    with pytest.raises(ModelError, match=text):
        build(theirs(architecture), classes=10, shape=shape)


@pytest.mark.parametrize(
    "options", [{"norm": "group"}, {"weight": "standardized"}, {"residual_init": "zero"}, {"init": "fan_in"}]
)
def test_options_of_layers_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has no effect on torchvision's networks, which have their own layers"):
        config("torchvision", architecture="resnet18", **options)
