"""Channels of normalized layers, which the configuration knows without building the networks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.models.architectures import config_of, rows
from tests.models.configs import NORMS, config
from tests.models.small import ALL, Shape
from wsnet.config.architectures import ModelConfig, NetworkConfig
from wsnet.config.channels import normalized_channels
from wsnet.layers import Layers
from wsnet.models import MODELS, build

NARROW: dict[str, tuple[dict[str, Any], Shape]] = {
    "preact_resnet-one-block": ({"name": "preact_resnet", "depth": 8, "remove_first_relu": True}, (3, 9, 7)),
    "wrn-1": ({"name": "wrn", "depth": 10, "widening": 1}, (3, 8, 8)),
    "cifar_densenet-half": (
        {"name": "cifar_densenet", "depth": 22, "growth_rate": 5, "compression": 0.6, "stem_width": 7},
        (3, 32, 32),
    ),
    "densenet-161": ({"name": "densenet", "depth": 161}, (3, 64, 64)),
    "pyramidnet-stem": ({"name": "pyramidnet", "depth": 20, "alpha": 9.5, "stem_width": 12}, (3, 9, 7)),
    "shake_shake-stem": ({"name": "shake_shake", "depth": 8, "width": 6, "stem_width": 5}, (3, 9, 7)),
}
"""Networks with channels that no others of their families have."""

Recorded = Callable[[ModelConfig, Shape], set[tuple[int, str]]]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """The channels of every norm of a network, and what comes next, from building it."""
    found: set[tuple[int, str]] = set()
    norm = Layers.norm

    def record(self: Layers, channels: int, *, size: Any, before: Any = "activation") -> torch.nn.Module:
        found.add((channels, before))
        return norm(self, channels, size=size, before=before)

    monkeypatch.setattr(Layers, "norm", record)

    def of(model: ModelConfig, shape: Shape) -> set[tuple[int, str]]:
        found.clear()
        with torch.device("meta"):
            build(model, classes=10, shape=shape)
        return set(found)

    return of


def assert_known(model: ModelConfig, shape: Shape, recorded: Recorded) -> None:
    norms = recorded(model, shape)
    options = model.model_dump(exclude={"name", *NetworkConfig.model_fields})
    assert normalized_channels(model.name, options) == {channels for channels, _ in norms}
    without_sums = normalized_channels(model.name, options, before_sums=False)
    assert without_sums == {channels for channels, before in norms if before == "activation"}


@pytest.mark.parametrize("architecture", [*ALL, *NARROW])
def test_the_channels_are_those_of_the_network(architecture: str, recorded: Recorded) -> None:
    options, shape = (ALL | NARROW)[architecture]
    assert_known(config(**options, norm="batch"), shape, recorded)


@pytest.mark.slow
def test_the_channels_are_those_of_every_published_network(recorded: Recorded) -> None:
    published = {config_of(row).model_copy(update={"norm": config("alexnet").norm}): row.shape for row in rows()}
    for model, shape in published.items():
        if model.name != "torchvision":
            assert_known(model, shape, recorded)


def test_every_architecture_is_among_them() -> None:
    assert {options["name"] for options, _ in ALL.values()} == MODELS.keys() - {"torchvision"}


def test_a_norm_without_a_layer_before_sums_is_not_held_to_their_channels() -> None:
    assert NORMS["evonorm_s0"]["groups"] == 8
    wide = {"name": "shake_shake", "width": 32, "stem_width": 4}
    assert config(**wide, norm="evonorm_s0").norm.name == "evonorm_s0"
    with pytest.raises(ValidationError, match="with layers of 4, 32, 64 and 128 channels; possible: 4, 2, 1"):
        config(**wide, norm="group")
    with pytest.raises(ValidationError, match=r"with layers of 7, 12, 13, 16, \.\.\. channels; possible: 1 "):
        config(**NARROW["cifar_densenet-half"][0], norm="group")
    with pytest.raises(ValidationError, match="depth must be 6n \\+ 2 with basic blocks"):
        config("pyramidnet", "group", depth=9, alpha=7.0)
