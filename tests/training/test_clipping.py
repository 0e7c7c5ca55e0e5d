"""Clipping, where it stands in a step."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.trials import assert_same, config, numbers, trained, trial
from wsnet.layers.online_norm import online_state
from wsnet.training import Trial
from wsnet.training.loop import Training
from wsnet.training.meter import Meter

GROUP = {"model": {"norm": {"name": "group", "groups": 2}}}


def after_a_step(**optim: Any) -> Training:
    """A training with online norm after one step."""
    training = Training(Trial.prepare(config(model={"norm": {"name": "online"}}, optim=optim)))
    training.train_step(0, next(training.batches.epoch(1)), Meter(training.device))
    return training


@pytest.mark.slow
def test_the_gradient_of_the_whole_batch_is_clipped_not_those_of_its_micro_batches(tmp_path: Path) -> None:
    optim = {"clip_grad_norm": 0.1}
    loop = {"train": {"micro_batch_size": 4}, "execution": {"micro_batches": "loop"}}
    whole = numbers(trained(trial(**GROUP, optim=optim), tmp_path / "whole").records)
    pieces = numbers(trained(trial(**GROUP, **loop, optim=optim), tmp_path / "pieces").records)
    free = numbers(trained(trial(**GROUP), tmp_path / "free").records)
    assert pieces[-1] == pytest.approx(whole[-1], rel=1e-3)
    assert free[-1]["train/loss"] != pytest.approx(whole[-1]["train/loss"], rel=1e-2)


def test_clipping_bounds_the_step_and_leaves_online_norms_state_alone() -> None:
    free, clipped = after_a_step(momentum=0.0), after_a_step(momentum=0.0, clip_grad_norm=0.01)
    assert_same(online_state(clipped.model), online_state(free.model))
    norms = [torch.stack([p.grad.norm() for p in t.model.parameters() if p.grad is not None]) for t in (free, clipped)]
    assert norms[0].norm() > 0.01
    assert norms[1].norm().item() == pytest.approx(0.01, rel=1e-3)
