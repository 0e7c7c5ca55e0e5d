"""Suggestions as a function of results, with Optuna itself."""

import math
import statistics
from typing import Any

import pytest

from wsnet.config.reading.located import Spot
from wsnet.config.reading.ranges import Range
from wsnet.config.reading.search_cells import Study
from wsnet.config.search import GaussianProcessConfig, SuggestedConfig, TpeConfig
from wsnet.sweep.search.suggest import Result, suggest

LR = Range(1e-4, 10.0, "log", Spot("file:1", "grid.optim.lr", False))


def study(points: list[dict[str, Any]], target: int = 40, **space: Any) -> Study:
    return Study(name="[0, {}]", cell={}, space=space or {"optim.lr": LR}, points=points, target=target)


def error(rate: float) -> float:
    """Lowest at 0.03."""
    return 10 + 5 * math.log10(rate / 0.03) ** 2


def searched(search: SuggestedConfig, target: int) -> list[float]:
    points = [{"optim.lr": LR.at(share)} for share in (0.05, 0.3, 0.72, 0.93)]
    while len(points) < target:
        results = [Result(median=error(point["optim.lr"])) for point in points]
        points += suggest(study(points, target), results, search)
    return [point["optim.lr"] for point in points]


@pytest.mark.slow
@pytest.mark.parametrize("config", [TpeConfig, GaussianProcessConfig])
def test_it_finds_the_lowest_error_sooner_than_chance(config: type[SuggestedConfig]) -> None:
    found = searched(config(name="tpe" if config is TpeConfig else "gaussian_process", samples=24, batch=4), 24)
    late = statistics.median(abs(math.log10(rate / 0.03)) for rate in found[12:])
    assert late < 0.8, "a random search's median distance is 1.26 decades"
    assert len(set(found)) == 24 and all(LR.low <= rate <= LR.high for rate in found)


@pytest.mark.parametrize("config", [TpeConfig, GaussianProcessConfig])
def test_decay_factors_are_suggested_on_a_log_scale_of_one_minus_them(config: type[SuggestedConfig]) -> None:
    decays = Range(0.9, 0.9999, "one_minus_log", Spot("file:1", "grid.optim.momentum", False))
    points = [{"optim.momentum": decays.at(share)} for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    results = [Result(median=error(1 - point["optim.momentum"])) for point in points]
    search = config(name="tpe" if config is TpeConfig else "gaussian_process", samples=40, batch=4)
    space = {"optim.momentum": decays}
    made = [point["optim.momentum"] for point in suggest(study(points, **space), results, search)]
    assert len({*made}) == 4 and all(0.9 <= decay <= 0.9999 for decay in made)
    assert min(abs(math.log10((1 - decay) / 0.03)) for decay in made) < 0.5  # The error is lowest at 1 - x = 0.03.


def test_equal_results_make_equal_suggestions_and_other_seeds_others() -> None:
    points = [{"optim.lr": rate} for rate in (0.001, 0.01, 0.1, 1.0)]
    results = [Result(median=error(point["optim.lr"])) for point in points]
    made = [suggest(study(points), results, TpeConfig(name="tpe", samples=40, seed=seed)) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2] and len(made[0]) == 4


def test_settings_that_diverged_were_stopped_or_failed_have_their_say() -> None:
    points = [{"optim.lr": rate} for rate in (0.001, 0.01, 0.03, 0.1, 1.0, 10.0)]
    results = [
        Result(median=30.0, stopped={1: 40.0, 2: 30.0}),
        Result(median=error(0.01)),
        Result(median=error(0.03)),
        Result(median=error(0.1)),
        Result(median=math.inf),
        Result(median=None),
    ]
    for config in (TpeConfig(name="tpe", samples=40), GaussianProcessConfig(name="gaussian_process", samples=40)):
        assert len(suggest(study(points), results, config)) == 4


@pytest.mark.slow
def test_lists_are_searched_to_their_end_and_no_further() -> None:
    space = {"optim.lr": [0.01, 0.1, 1.0], "model.norm": [{"name": "batch"}, {"name": "group", "groups": 2}]}
    points: list[dict[str, Any]] = [{"optim.lr": 0.1, "model.norm": {"name": "batch"}}]
    search = TpeConfig(name="tpe", samples=6, batch=4)
    while new := suggest(study(points, 6, **space), [Result(median=1.0)] * len(points), search):
        points += new
    assert len(points) == 6 and len({str(sorted(point.items(), key=str)) for point in points}) == 6
    assert suggest(study(points, 7, **space), [Result(median=1.0)] * 6, search) == []
