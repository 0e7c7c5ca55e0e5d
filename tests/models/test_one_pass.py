"""The counts from one pass over many images are those of separate passes over one, two and three."""

from typing import Any

import pytest

from tests.models.configs import NORMS, config
from wsnet.models import ModelError, activation_bytes, count_model, multiply_accumulates


@pytest.fixture(autouse=True)
def _on_the_meta_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsnet.models.complexity._FEW", 0)


SHAPE = (3, 32, 32)


def in_one_pass(model: Any) -> tuple[int, int]:
    counts = count_model(model, 10, SHAPE)
    assert counts.operations > 10
    return counts.multiply_accumulates, counts.activation_bytes


def separately(model: Any) -> tuple[int, int]:
    return multiply_accumulates(model, 10, SHAPE), activation_bytes(model, 10, SHAPE)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("weight", ["none", "standardized", "normalized"])
def test_of_every_norm(norm: str, weight: str) -> None:
    model = config("cifar_resnet", norm, depth=8, weight=weight)
    assert in_one_pass(model) == separately(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vgg", {"depth": 11, "layout": "cifar"}),
        ("resnet", {"depth": 18}),
        ("preact_resnet", {"depth": 11, "block": "bottleneck"}),
        ("wrn", {"depth": 10, "widening": 2, "dropout": 0.3}),
        ("cifar_resnext", {"depth": 11, "cardinality": 4, "group_width": 8}),
        ("cifar_densenet", {"depth": 16, "growth_rate": 8}),
        ("pyramidnet", {"depth": 8, "alpha": 12}),
        ("shake_shake", {"depth": 8, "width": 8, "stem_width": 8}),
        ("cifar_resnet", {"depth": 8, "checkpointing": True}),
    ],
)
def test_of_every_architecture_for_small_images(name: str, options: dict[str, Any]) -> None:
    model = config(name, **options)
    assert in_one_pass(model) == separately(model)


def test_a_model_that_can_not_take_the_images_is_the_same_mistake() -> None:
    with pytest.raises(ModelError, match="large enough for every transition to halve them, but got 8x8"):
        count_model(config("densenet", depth=121), 10, (3, 8, 8))
