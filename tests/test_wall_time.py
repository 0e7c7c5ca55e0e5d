"""The model of a sweep's wall time, which benchmarks/wall_time.py measures."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("wall_time", BENCHMARKS / "wall_time.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "wall_time", module)
    spec.loader.exec_module(module)
    return module


def test_trials_run_in_rounds_until_the_driver_is_the_limit(model: ModuleType) -> None:
    costs = model.Costs(start=5.0, process=6.0, trial=0.5, epoch=0.25, driver_trial=0.125, driver_epoch=0.0625)
    shape = model.Shape.read("10x2x1.5")
    # 10 trials, 4 at a time, are 3 rounds of 0.5 + 2 * (1.5 + 0.25) s.
    assert model.wall_time(shape, 4, costs) == model.Prediction(5 + 6, 3 * 4, "slots")
    assert model.wall_time(shape, 10, costs) == model.Prediction(5 + 6, 4, "slots")
    # One process after the other: those that check the nodes, then those of the trials.
    assert model.wall_time(shape, 4, costs, starts=2) == model.Prediction(5 + 2 * 6, 3 * 4, "slots")
    # The driver has 80 trials of 0.125 + 2 * 0.0625 s; the slots one round of 4 s.
    assert model.wall_time(model.Shape.read("80x2x1.5"), 80, costs) == model.Prediction(5 + 6, 20, "driver")


def test_costs_are_told_apart_by_trials_of_few_and_many_epochs(model: ModuleType) -> None:
    # Two processes, from 12 s on, train a trial of 1 epoch in 0.5 s and one of 3 in 1.1 s, of which 0.1 s each sleep.
    def trial(slot: int, began: float, epochs: int) -> list[dict[str, float]]:
        return [{"slot": slot, "began": began, "cpu": 6.0}] * epochs

    trials, changes, ends = {}, [], 0.0
    for slot in (1, 2):
        for index in range(6):
            began = 12 + (0.5 * index if index < 3 else 1.5 + 1.1 * (index - 3))
            trials[f"{slot}{index}"] = trial(slot, began, 1 if index < 3 else 3)
    for trial_id in sorted(trials, key=lambda name: (len(trials[name]), name)):
        ends += 0.01 if len(trials[trial_id]) == 1 else 0.03  # CPU time of the driver.
        changes += [[trial_id, ends - 0.005], [trial_id, ends]]
    told = {"began": 0.0, "wall": 20.0, "last": 18.0, "trials": trials, "changes": changes}
    costs = model.costs_of(told, 0.1)
    assert costs.epoch == pytest.approx(0.2) and costs.trial == pytest.approx(0.2)
    assert costs.driver_epoch == pytest.approx(0.01) and costs.driver_trial == pytest.approx(0.0, abs=1e-9)
    assert costs.process == 6.0
    assert costs.start == pytest.approx(12 - 6 * model._starts(1, 2) + 2)
