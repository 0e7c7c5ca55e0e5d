"""Options of the architectures that cannot be, and those that would have no effect."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from wsnet.config.architectures import ModelConfig

ADAPTER: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "cifar_resnet", "depth": 18}, r"depth must be 6n \+ 2 \(8, .*\), but got 18; near it: 20"),
        ({"name": "cifar_resnet", "depth": 3}, "got 3; near it: 8"),
        (
            {"name": "cifar_resnet", "block": "bottleneck", "depth": 116},
            r"depth must be 9n \+ 2 with bottlenecks \(11, .*\), but got 116; near it: 119",
        ),
        ({"name": "preact_resnet", "block": "bottleneck", "depth": 1202}, "got 1202; near it: 1199"),
        ({"name": "wrn", "depth": 26}, r"depth must be 6n \+ 4 \(10, .*\), but got 26; near it: 28"),
        ({"name": "cifar_resnext", "depth": 50}, r"depth must be 9n \+ 2 \(11, .*\), but got 50; near it: 47"),
        ({"name": "cifar_resnet", "depth": 20, "first_stage": "stem"}, "'bottleneck' and a width divisible by 4"),
        ({"name": "vgg", "depth": 15}, "11, 13, 16 or 19"),
        ({"name": "wrn", "dropout": 1.0}, "less than 1"),
        ({"name": "preact_resnet", "depth": 20, "preact_stage": [True, True]}, "preact_stage"),
        ({"name": "resnet", "depth": 18, "se_reduction": 0}, "greater than or equal to 1"),
    ],
)
def test_what_can_not_be_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        ADAPTER.validate_python(options)


@pytest.mark.parametrize(
    ("name", "options", "norm", "init", "classifier_init"),
    [
        ("alexnet", {}, "none", "uniform", "uniform"),
        ("vgg", {"depth": 16}, "none", "fan_out", "normal"),
        ("resnet", {"depth": 18}, "batch", "fan_out", "uniform"),
        ("preact_resnet", {"depth": 20}, "batch", "fan_out", "uniform"),
        ("wrn", {}, "batch", "fan_in", "uniform"),
    ],
)
def test_defaults_are_the_papers(
    name: str, options: dict[str, Any], norm: str, init: str, classifier_init: str
) -> None:
    model = ADAPTER.validate_python({"name": name, **options})
    assert (model.norm.name, model.init, model.classifier_init) == (norm, init, classifier_init)
