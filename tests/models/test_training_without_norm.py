"""Networks without a norm learn the digits."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.trials import config, trained
from wsnet.training import Trial

NONE = {"norm": {"name": "none"}}
WEIGHT = {**NONE, "weight": "normalized"}
FROM_DATA = {**WEIGHT, "weight_init": "data_dependent"}
ZERO = {"residual_init": "zero"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "batch_size", "lr", "epochs"),
    [
        (WEIGHT, 2, 0.003, 2),
        (WEIGHT, 128, 0.05, 12),
        (WEIGHT | ZERO, 2, 0.01, 3),
        (FROM_DATA, 2, 0.003, 1),
        (FROM_DATA, 128, 0.05, 12),
        (NONE | ZERO, 128, 0.05, 12),
    ],
)
def test_a_resnet_8_learns_the_digits(
    tmp_path: Path, model: dict[str, Any], batch_size: int, lr: float, epochs: int
) -> None:
    sections = {
        "data": {"limit": 1000, "augment": {}},
        "model": {"width": 8, **model},
        "optim": {"lr": lr},
        "train": {"epochs": epochs, "batch_size": batch_size},
    }
    result = trained(Trial.prepare(config(**sections)), tmp_path)
    assert result.status.status == "finished"
    error = result.records[-1]["test/top1_error"]
    assert error is not None and error < 30  # chance is 90


def test_a_resumed_trial_is_not_initialized_from_data_again(tmp_path: Path) -> None:
    trial = Trial.prepare(config(model=FROM_DATA, train={"epochs": 2}))
    whole = trained(trial, tmp_path / "whole")

    def stop(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(trial, tmp_path / "stopped", report=stop)
    resumed = trained(trial, tmp_path / "stopped")
    assert [record["train/loss"] for record in resumed.records] == [record["train/loss"] for record in whole.records]
