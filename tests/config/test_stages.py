"""`stages`: what each stage reads, and what a sweep file gets wrong about them."""

from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import write
from wsnet.config import ConfigError, read_sweep
from wsnet.config.reading.only_and_smoke import only, smoke
from wsnet.config.reading.stages import Chosen, confirmed

STAGES: dict[str, Any] = {
    "grid": {"model.norm.name": ["batch", "none"], "optim.lr": [0.1, 0.01]},
    "seeds": 2,
    "scheduler": {"name": "fifo"},
    "stages": {"tune": {"seeds": 3, "set": {"train.epochs": 1}}, "confirm": {"set": {"data.validation": 0}}},
    "report": {"rows": ["model.norm.name"], "select": {"over": ["optim.lr"]}},
}


def test_each_stage_has_its_own_seeds_and_overrides_on_the_same_grid(tmp_path: Path) -> None:
    sweep = read_sweep(str(write(tmp_path, **STAGES)))
    first = sweep.tuning
    assert first is not None and (first.config.name, sweep.config.name) == ("tiny-tune", "tiny")
    assert (first.config.seed_list, sweep.config.seed_list) == ((1000, 1001, 1002), (0, 1))
    assert first.axes == sweep.axes == ["model.norm.name", "optim.lr"]
    assert [setting.axes for setting in first.settings] == [setting.axes for setting in sweep.settings]
    trains = [(s.config.train.epochs, s.config.data.validation) for s in (*first.settings, *sweep.settings)]
    assert trains == [(1, 100)] * 4 + [(2, 0)] * 4
    assert (first.config.report.metric, sweep.config.report.metric) == ("validation/top1_error", "test/top1_error")
    assert only(sweep, ["optim.lr=0.1"]).tuning is not None
    small = smoke(sweep).tuning
    assert small is not None and small.config.name == "tiny-tune-smoke"


def test_the_second_stage_keeps_what_the_first_chose(tmp_path: Path) -> None:
    sweep = read_sweep(str(write(tmp_path, **STAGES)))
    places = [{"model.norm.name": '"batch"', "optim.lr": "0.01"}, {"model.norm.name": '"none"', "optim.lr": "0.1"}]
    second = confirmed(sweep, Chosen(places=places, candidates=2, undecided=0))
    assert [(s.config.model.norm.name, s.config.optim.lr) for s in second.settings] == [("batch", 0.01), ("none", 0.1)]
    assert second.tuned is not None and (second.tuned.candidates, second.tuned.seeds) == (2, 3)


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"report": {}}, "stages", "needs report.select"),
        ({"seeds": [5, 1001]}, "stages.tune.seeds", "no seed with the sweep's own seeds, but both have 1001"),
        ({"stages": {"tune": {"set": {"train.epoch": 1}}}}, "stages.tune.set.train.epoch", "did you mean"),
        ({"stages": {"tune": {"set": {"optim.lr": 1}}}}, "stages.tune.set.optim.lr", "a case or a grid sets"),
        ({"stages": {"confirm": {"set": {"optim": {}}}}}, "stages.confirm.set.optim", "a grid sets 'optim.lr'"),
        ({"stages": {"confirm": {"set": {"seed": 3}}}}, "stages.confirm.set.seed", "the sweep's own 'seeds'"),
        ({"stages": {"tune": {"seeds": 0}}}, "stages.tune.seeds", "must be a count from 1"),
        ({"stages": {"tune": {"set": {"train.epochs": -1}}}}, "stages.tune.set.train.epochs", "-1"),
        ({"stages": {"tune": {"set": {"data.validation": 0}}}}, "report.metric", "needs a validation split"),
    ],
)
def test_a_mistake_is_said_at_its_place(tmp_path: Path, changes: dict[str, Any], key: str, said: str) -> None:
    path = write(tmp_path, **{**STAGES, **changes})
    with pytest.raises(ConfigError) as caught:
        read_sweep(str(path))
    assert any(mistake.key == key and said in mistake.message for mistake in caught.value.mistakes), caught.value
    assert all(mistake.place.startswith(str(path)) for mistake in caught.value.mistakes)
