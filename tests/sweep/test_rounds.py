"""A sweep whose search makes suggestions, from the command to the table, cut short and continued."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.config.test_search import SEARCH
from tests.sweep.tiny import alone, records, write
from wsnet.config import Sweep, read_sweep
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile
from wsnet.config.search import TpeConfig
from wsnet.report import conclude, read_chosen
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.sweep.cli import main
from wsnet.sweep.cluster.ray_session import Session
from wsnet.sweep.search.suggest import Result, suggest

CHANGES = {**SEARCH, "search": {"name": "tpe", "samples": 5, "startup": 2, "batch": 2}, "seeds": 2}


@pytest.mark.slow
def test_a_search_is_the_first_of_two_stages_and_does_not_depend_on_interruptions(
    tmp_path: Path, shared_ray: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "grid": {"optim.lr": {"log_uniform": [0.001, 1.0]}},
        "search": {"name": "tpe", "samples": 3, "startup": 2, "batch": 1},
        "stages": {"tune": {"seeds": 1}, "confirm": {"set": {"data.validation": 0}}},
        "report": {"select": {"over": ["optim.lr"]}},
    }
    path, runs = write(tmp_path, **changes), tmp_path / "runs"
    command = [str(path), "--storage", str(runs)]
    assert main([*command, "--budget", "1s"], conclude=conclude, choose=read_chosen) == 3
    assert main(command, conclude=conclude, choose=read_chosen) == 0
    said = capsys.readouterr().out
    assert "tpe suggests 1 setting more; 0 to come" in said
    (kept,) = json.loads((runs / "tiny-tune" / "search.json").read_bytes()).values()
    first, second = (Folder(str(runs / name)) for name in ("tiny-tune", "tiny"))
    tuned = Manifest.read(first).trials
    assert [entry.axes for entry in tuned] == kept and len(kept) == 3
    for entry in tuned:
        directory = trial_directory(first, entry.trial_id)
        assert records(directory) == alone(directory, tmp_path)
    (confirmed,) = Manifest.read(second).trials
    assert confirmed.axes in kept and "selected among 3" in (runs / "tiny" / "table.md").read_text()

    assert main([*command, "--dry-run"], conclude=conclude, choose=read_chosen) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("every trial is done already") == 2 and "more to come" not in said
    results = [
        Result(median=directory.records()[-1]["validation/top1_error"])
        for directory in (trial_directory(first, entry.trial_id) for entry in tuned[:2])
    ]
    study = read_sweep(str(path)).tuning
    assert study is not None and isinstance(study.config.search, TpeConfig)
    assert suggest(study.studies[0], results, study.config.search) == kept[2:]


def test_a_dry_run_tells_what_is_still_to_be_suggested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, **CHANGES)
    assert main([str(path), "--storage", str(tmp_path / "runs"), "--dry-run"], conclude=conclude) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 settings x 2 seeds = 8 trials" in said
    assert "6 settings more to come, suggested by 'tpe' from the results" in said
    assert "With the settings that are suggested later: about " in said
    assert not (tmp_path / "runs").exists()


def test_a_file_without_a_search_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []

    def read(yaml: YamlFile, *rest: Any) -> Sweep:
        paths.append(yaml.name)
        return sweep_of(yaml, *rest)

    monkeypatch.setattr("wsnet.sweep.requested_sweep.sweep_of", read)
    assert main([str(write(tmp_path)), "--storage", str(tmp_path), "--dry-run"], conclude=conclude) == 0
    assert len(paths) == 1, "a file of thousands of settings takes seconds to read"


def test_without_optuna_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wsnet.sweep.search.rounds.find_spec", lambda name: None)
    path = write(tmp_path, **CHANGES)
    assert main([str(path), "--storage", str(tmp_path / "runs")], conclude=conclude) == 2
    assert "needs Optuna, which is not installed" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
