"""Learning rates by their closed forms."""

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from wsnet.config.optim import ScheduleConfig
from wsnet.training.optimizer import learning_rate

STEPS, EPOCHS = 5, 4


def rates(lr: float = 0.4, **schedule: Any) -> list[float]:
    """The learning rate of every step of a training."""
    config: Any = TypeAdapter(ScheduleConfig).validate_python(schedule)
    steps = range(STEPS * EPOCHS)
    return [learning_rate(config, lr, step=step, steps_per_epoch=STEPS, epochs=EPOCHS) for step in steps]


def test_a_constant_rate_stays() -> None:
    assert rates(name="constant") == [0.4] * 20


def test_milestones_count_finished_epochs_and_multiply() -> None:
    assert rates(name="multistep", milestones=(1, 3), gamma=0.5) == [0.4] * 5 + [0.2] * 10 + [0.1] * 5


def test_a_milestone_past_the_end_is_never_reached() -> None:
    assert rates(name="multistep", milestones=(4,)) == [0.4] * 20


def test_a_cosine_moves_every_iteration() -> None:
    expected = [0.1 + 0.3 * 0.5 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert rates(name="cosine", final_lr=0.1) == pytest.approx(expected, rel=1e-12)


def test_a_cosine_can_move_every_epoch() -> None:
    expected = [0.4 * 0.5 * (1 + math.cos(math.pi * (step // 5) / 4)) for step in range(20)]
    assert rates(name="cosine", per="epoch") == pytest.approx(expected, rel=1e-12)


def test_a_cosine_is_torchs() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.1)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates(name="cosine", final_lr=0.1) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "schedule", [{"name": "constant"}, {"name": "cosine"}, {"name": "multistep", "milestones": (1,)}]
)
def test_a_warm_up_rises_linearly_to_what_the_schedule_asks_for(schedule: dict[str, Any]) -> None:
    plain = rates(**schedule)
    expected = [rate * min(1, (step + 1) / 10) for step, rate in enumerate(plain)]
    assert rates(**schedule, warmup_epochs=2.0) == pytest.approx(expected, rel=1e-12)


def test_a_warm_up_may_end_within_an_epoch() -> None:
    assert rates(name="constant", warmup_epochs=0.5)[:4] == pytest.approx([0.16, 0.32, 0.4, 0.4])


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("options", [{}, {"pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 100.0}])
def test_one_cycle_is_torchs(anneal: str, options: dict[str, float]) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    strategy: Any = anneal.replace("cosine", "cos")
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.4, total_steps=20, anneal_strategy=strategy, cycle_momentum=False, **options
    )
    expected = []
    for step in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < 19:
            scheduler.step()
    assert rates(name="one_cycle", anneal=anneal, **options) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 2), (2, 5)])
def test_one_cycle_ends_low_however_short_the_training_is(epochs: int, steps: int) -> None:
    config: Any = TypeAdapter(ScheduleConfig).validate_python({"name": "one_cycle"})
    found = [learning_rate(config, 1.0, step=s, steps_per_epoch=steps, epochs=epochs) for s in range(steps * epochs)]
    assert all(0 < rate <= 1 for rate in found) and found[-1] == pytest.approx(1 / 25 / 1e4)


def test_a_polynomial_is_torchs() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=20, power=2.0)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates(name="polynomial", power=2.0) == pytest.approx(expected, rel=1e-9)


def test_a_polynomial_of_power_1_is_a_line_and_may_move_every_epoch() -> None:
    assert rates(name="polynomial", final_lr=0.2)[::5] == pytest.approx([0.4, 0.35, 0.3, 0.25])
    assert rates(name="polynomial", per="epoch")[:6] == pytest.approx([0.4] * 5 + [0.3])
