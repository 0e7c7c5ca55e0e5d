"""A norm from a user's file, in a sweep."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import alone, records, train, write
from wsnet.config import ConfigError, read_sweep
from wsnet.sweep.cli import main
from wsnet.sweep.planning.plan import Plan, make_plan

OWN = Path(__file__).parents[1] / "own_norms.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "norms").mkdir()
    (tmp_path / "norms" / "mine.py").write_text(OWN.read_text())
    return tmp_path


def plan(folder: Path, **changes: Any) -> Plan:
    path = write(folder, **changes)
    return make_plan(read_sweep(str(path), []), path.name, root=folder)


def own(name: str = "PowerNorm", **grid: list[Any]) -> dict[str, Any]:
    return {"model.norm.name": f"norms/mine.py:{name}", "grid": {f"model.norm.{k}": v for k, v in grid.items()}}


def test_options_are_axes_and_names_are_short(folder: Path) -> None:
    entries = [t.entry for t in plan(folder, cases=[{"model.norm.name": "batch"}, own(power=[0.5, 1])]).trials]
    assert [entry.name for entry in entries] == ["bn-s0", "PowerNorm-power0.5-s0", "PowerNorm-power1-s0"]
    assert entries[1].axes == {"model.norm.name": "norms/mine.py:PowerNorm", "model.norm.power": 0.5}


def test_workers_count_unless_it_is_said_that_images_do_not_mix(folder: Path) -> None:
    cases = [own(), own() | {"model.norm.batch_statistics": False}]
    one, two = (plan(folder, cases=cases, resources={"workers": workers}).trials for workers in (1, 2))
    assert [a.entry.trial_id == b.entry.trial_id for a, b in zip(one, two, strict=True)] == [False, True]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("PowrNorm", {}, "has no class 'PowrNorm'; did you mean 'PowerNorm'?"),
        ("PowerNorm", {"powr": [1, 2]}, "PowerNorm takes no option 'powr'; did you mean 'power'?"),
        ("Sized", {"level": [0]}, "ValueError: level must be positive, but got 0"),
        ("AnotherShape", {}, "; python -m wsnet.layers check FILE.py:CLASS tells what is wrong with a norm"),
        ("NoModule", {}, "NoModule must be a class derived from torch.nn.Module"),
    ],
)
def test_a_mistake_is_said_once_before_anything_starts(
    name: str, options: dict[str, list[Any]], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(folder, cases=[own(name, **options)], grid={"train.batch_size": [8]})
    assert main([str(path), "--storage", str(folder / "runs")], conclude=lambda *_: None) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and not (folder / "runs").exists()


def test_a_file_that_can_not_be_imported_is_told_with_its_line(folder: Path) -> None:
    (folder / "norms" / "mine.py").write_text("import torch\ntorch.nothing_of_that_name\n")
    with pytest.raises(ConfigError, match=r"mine\.py:2: AttributeError: ") as caught:
        plan(folder, cases=[own()], grid={"train.batch_size": [8, 16]})
    assert len(caught.value.mistakes) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_norm_that_changes_torch_and_prints_without_end_harms_no_other_trial(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    cases = [own("Careless"), {"model.norm.name": "batch"}]
    write(folder, cases=cases, train={"epochs": 4}, resources={"max_concurrent": 1})
    ran = train(Path("tiny.yaml"), folder)
    careless, other = (ran.directory(trial_id) for trial_id in ran.trial_ids)
    assert [status.status for status in ran.statuses().values()] == ["finished", "finished"]
    assert records(other) == alone(other, folder), "it was not trained in the process of the first"
    sizes = {name: careless.folder.size(name) for name in careless.folder.names() if name.startswith("log.")}
    assert set(sizes) == {"log.first.txt", "log.previous.txt", "log.txt", "log.tsv"}
    assert 9e6 < sizes["log.first.txt"] <= 1e7 and 9e6 < sizes["log.previous.txt"] <= 1e7


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_workers_in_another_directory_train_it_to_the_bits_of_fit_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    write(folder, cases=[own() | {"model.norm.power": 0.5}])
    ran = train(Path("tiny.yaml"), folder)
    (trial_id,) = ran.trial_ids
    directory = ran.directory(trial_id)
    assert [status.status for status in ran.statuses().values()] == ["finished"]
    assert directory.folder.read("mine.py") == OWN.read_bytes()
    monkeypatch.chdir(os.sep)
    assert records(directory) == alone(directory, folder)
    config = json.loads((directory.folder.read("execution.json") or b"{}").decode())
    assert config["device"] == "cpu"
