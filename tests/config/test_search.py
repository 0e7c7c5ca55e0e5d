"""`search: tpe`: which cells are searched, over what, and what a sweep file gets wrong about it."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import write
from wsnet.config import ConfigError, read_sweep
from wsnet.config.reading.only_and_smoke import only, smoke

SEARCH: dict[str, Any] = {
    "grid": {"model.norm.name": ["batch", "none"], "optim.lr": {"log_uniform": [0.001, 1.0]}},
    "search": {"name": "tpe", "samples": 8, "startup": 3, "batch": 2},
    "report": {"rows": ["model.norm.name"], "select": {"over": ["optim.lr"]}},
}


def test_each_cell_is_a_study_that_starts_with_random_settings(tmp_path: Path) -> None:
    sweep = read_sweep(str(write(tmp_path, **SEARCH)))
    batch, none = sweep.studies
    assert (batch.cell, none.cell) == ({"model.norm.name": "batch"}, {"model.norm.name": "none"})
    assert (batch.target, batch.missing, len(batch.points)) == (8, 5, 3)
    assert batch.points != none.points
    drawn = [study.cell | point for study in sweep.studies for point in study.points]
    assert [setting.axes for setting in sweep.settings] == drawn
    assert all(0.001 <= setting.config.optim.lr <= 1 for setting in sweep.settings)
    alone = {**SEARCH, "grid": {**SEARCH["grid"], "model.norm.name": ["batch"]}}
    assert read_sweep(str(write(tmp_path, **alone))).studies[0].points == batch.points


def test_what_was_suggested_comes_back_and_what_no_longer_fits_is_left_out(tmp_path: Path) -> None:
    path = str(write(tmp_path, **SEARCH))
    batch, none = read_sweep(path).studies
    kept = [*batch.points, {"optim.lr": 0.5}, {"optim.lr": 20.0}, {"optim.lr": True}, {"train.epochs": 3}]
    sweep = read_sweep(path, suggested={batch.name: kept})
    assert sweep.studies[0].points == [*batch.points, {"optim.lr": 0.5}] and sweep.studies[1] == none
    assert sweep.settings[3].config.optim.lr == 0.5
    fixed = read_sweep(path, ["optim.lr=0.1"], {batch.name: kept})
    assert [study.target for study in fixed.studies] == [1, 1] and len(fixed.settings) == 2


def test_lists_are_searched_without_repetition(tmp_path: Path) -> None:
    axes = {"optim.lr": [0.1, 0.01], "optim.momentum": [0.0, 0.9]}
    select = {"select": {"over": list(axes)}}
    (study,) = read_sweep(str(write(tmp_path, **{**SEARCH, "grid": axes, "report": select}))).studies
    assert (study.cell, study.target, len(study.points)) == ({}, 4, 3)


def test_parts_of_it_can_be_trained(tmp_path: Path) -> None:
    sweep = read_sweep(str(write(tmp_path, **SEARCH)))
    assert [study.cell for study in only(sweep, ["model.norm.name=none"]).studies] == [{"model.norm.name": "none"}]
    with pytest.raises(ConfigError, match="'tpe' chooses its values; use --set"):
        only(sweep, ["optim.lr=0.1"])
    assert not smoke(sweep).studies and len(smoke(sweep).settings) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"report": {}},
            ["search: 'tpe' needs report.select, which says what to search over, such as {over: [optim.lr]}"],
        ),
        (
            {"report": {"select": {"over": "optim.lr"}}},
            ["report.select.over: must be a list, but got 'optim.lr'; write [optim.lr]"],
        ),
        (
            {"grid": {"optim.lr": {"log_uniform": [0.001, 1]}, "train.batch_size": {"log_uniform": [8, 128]}}},
            [
                "grid.train.batch_size: takes whole numbers, but a range has fractions; list its values instead, such "
                "as [8, 16, 32, 64, 128]"
            ],
        ),
        (
            {"grid": {"optim.lr": {"uniform": [-2, -1]}, "optim.nesterov": {"uniform": [0, 1]}}},
            [
                "grid.optim.lr: must be greater than 0, but got -1.x, drawn from this range",
                "grid.optim.nesterov: takes no range of numbers; list its values instead",
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_search_is_told_once_and_alone(
    tmp_path: Path, changes: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_sweep(str(write(tmp_path, **{**SEARCH, **changes})))
    found = sorted(f"{mistake.key}: {mistake.message}" for mistake in caught.value.mistakes)
    assert [re.sub(r"-1\.\d+", "-1.x", line) for line in found] == said


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"report": {}}, "search", "needs report.select, which says what to search over"),
        ({"grid": {"optim.lr": [0.1], "optim.momentum": {"uniform": [0, 0.9]}}}, "grid.optim.momentum", "over names"),
        ({"scheduler": {"name": "hyperband"}, "seeds": 2}, "scheduler", "decides when all settings are known"),
        ({"scheduler": {"name": "asha", "mode": "sync"}, "seeds": 2}, "scheduler", "with mode: async"),
        ({"search": {"name": "tpe"}}, "search.samples", "missing"),
        ({"search": {"name": "bayes", "samples": 3}}, "search", "did you mean|known: grid, random, tpe"),
        ({"search": {"name": "gaussian_process", "samples": 10**6}}, "search", "at most 100,000 settings"),
        ({"base": {"data": {"name": "digits"}}}, "report.select.by", "needs a validation split"),
    ],
)
def test_a_mistake_is_said_at_its_place(tmp_path: Path, changes: dict[str, Any], key: str, said: str) -> None:
    path = write(tmp_path, **{**SEARCH, **changes})
    with pytest.raises(ConfigError) as caught:
        read_sweep(str(path))
    parts = said.split("|")
    found = [mistake for mistake in caught.value.mistakes if any(part in mistake.message for part in parts)]
    assert key in {mistake.key for mistake in found}, caught.value
