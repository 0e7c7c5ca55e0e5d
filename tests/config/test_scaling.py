"""What a batch size makes of lr and momentum."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from wsnet.config.optim import OptimConfig, SGDConfig
from wsnet.config.scaling import scaled_optim


def optim(rule: str | None, base: int = 128, **options: Any) -> OptimConfig:
    scale = {"rule": rule, "base": base} if rule else None
    data = {"name": "sgd", "lr": 0.1, "momentum": 0.9, **options, "scale_with_batch": scale}
    config: OptimConfig = TypeAdapter(OptimConfig).validate_python(data)
    return config


@pytest.mark.parametrize(
    ("batch_size", "momentum", "lr"), [(1, 0.999177, 6.43e-6), (32, 0.974004, 0.0065), (256, 0.81, 0.38)]
)
def test_the_momentum_rule_gives_the_numbers_of_online_norms_released_code(
    batch_size: int, momentum: float, lr: float
) -> None:
    found = scaled_optim(optim("momentum"), batch_size)
    assert isinstance(found, SGDConfig)
    assert found.momentum == pytest.approx(momentum, abs=5e-7)
    assert found.lr == pytest.approx(lr, rel=2e-3)


@pytest.mark.parametrize("rule", ["linear", "sqrt", "momentum"])
def test_at_the_base_nothing_changes(rule: str) -> None:
    assert scaled_optim(optim(rule), 128) == scaled_optim(optim(None), 128) == optim(None)


def test_the_linear_and_the_root_rule_leave_momentum_alone() -> None:
    for rule, lr in (("linear", 0.4), ("sqrt", 0.2)):
        found = scaled_optim(optim(rule), 512)
        assert isinstance(found, SGDConfig) and (found.lr, found.momentum) == (pytest.approx(lr), 0.9)


def test_without_momentum_the_momentum_rule_is_the_linear_one() -> None:
    found = scaled_optim(optim("momentum", momentum=0.0), 64)
    assert isinstance(found, SGDConfig) and (found.lr, found.momentum) == (0.05, 0.0)


def test_the_end_of_the_schedule_follows() -> None:
    found = scaled_optim(optim("linear", schedule={"name": "cosine", "final_lr": 0.01}), 256)
    assert found.schedule.name == "cosine" and found.schedule.final_lr == pytest.approx(0.02)


def test_a_scaled_optimizer_is_not_scaled_again() -> None:
    once = scaled_optim(optim("linear"), 256)
    assert scaled_optim(once, 256) == once
