"""Sweeps on images of one's own: planned, shrunk, refused, without a training."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.made_up import image_bytes, write_folder
from tests.sweep.tiny import write
from wsnet.config import read_sweep
from wsnet.config.reading.only_and_smoke import smoke
from wsnet.data import file_index
from wsnet.data.own_images import listed
from wsnet.sweep import cli
from wsnet.sweep.planning.plan import Plan, make_plan
from wsnet.sweep.trials.context import SweepContext, prepare_trial
from wsnet.training.execution import TrialError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))


def sweep_file(folder: Path, **changes: Any) -> Path:
    base = {
        "data": {"name": "folder", "path": "images", "size": 16, "validation": 3},
        "model": {"name": "cifar_resnet", "depth": 8, "width": 4},
        "optim": {"name": "sgd", "lr": 0.05},
        "train": {"epochs": 1, "batch_size": 4},
    }
    path = write(folder)
    text = {"name": "own", "question": "?", "base": base, **changes}
    path.write_text(json.dumps(text))
    return path


def plan(path: Path) -> Plan:
    return make_plan(read_sweep(str(path)), str(path), root=path.parent)


def test_the_same_images_elsewhere_are_the_same_trial(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        write_folder(tmp_path / name / "images")
        ids.append(plan(sweep_file(tmp_path / name)).trials[0].entry.trial_id)
    assert ids[0] == ids[1]
    (tmp_path / "two" / "images" / "train" / "cat" / "0000.jpg").write_bytes(image_bytes(99))
    listed.cache_clear()  # As in another process.
    assert plan(tmp_path / "two" / "tiny.yaml").trials[0].entry.trial_id != ids[0]


def test_two_paths_with_the_same_images_are_one_setting_at_two_places(tmp_path: Path) -> None:
    for name in ("images", "copy"):
        write_folder(tmp_path / name)
    path = sweep_file(tmp_path, grid={"data.path": [str(tmp_path / "images"), str(tmp_path / "copy")]})
    (trial,) = {trial.entry.trial_id: trial for trial in plan(path).trials if trial.entry.seed == 0}.values()
    assert [Path(place["data.path"]).name for place in trial.entry.places] == ["images", "copy"]


def test_a_smoke_run_of_a_streamed_folder_is_small(tmp_path: Path) -> None:
    write_folder(tmp_path / "images", train=20)
    path = sweep_file(tmp_path)
    sweep = smoke(read_sweep(str(path), ["data.stream=true", "data.size=24"]), images=9, steps=2)
    config = make_plan(sweep, str(path), root=tmp_path).trials[0].config
    assert config.data.train_size == 9 and config.data.streams and config.data.facts.shape == (3, 24, 24)


def context(planned: Plan, folder: Path) -> SweepContext:
    configs = {trial.entry.trial_id: trial.config.model_dump_json() for trial in planned.trials}
    options = {"workers": 1, "cpus": 1, "gpus": 0, "max_failures": 0, "scratch": str(folder)}
    return SweepContext(folder=str(folder), data_root=str(folder), configs=configs, **options)


def written_over(file: Path) -> None:
    """Other pixels with as many bytes; the folder's time stays."""
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    listed.cache_clear()  # As in another process.


def test_a_trial_looks_at_no_file_of_a_streamed_set_that_its_plan_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "images")
    planned = plan(sweep_file(tmp_path, grid={"data.stream": [True]}))
    trial_id = planned.trials[0].entry.trial_id
    monkeypatch.setattr(file_index, "listed", None)  # To call it would be an error.
    assert prepare_trial(trial_id, context(planned, tmp_path)).trial_id == trial_id


def test_a_plan_and_a_trial_with_an_older_index_notice_a_streamed_file_that_was_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_folder(tmp_path / "images") / "train" / "cat" / "0001.jpg"
    path = sweep_file(tmp_path, grid={"data.stream": [True]})
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "another machine"))
    before = plan(path).trials[0].entry.trial_id
    written_over(file)
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))
    planned = plan(path)
    trial_id = planned.trials[0].entry.trial_id
    assert trial_id != before
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "another machine"))
    assert prepare_trial(trial_id, context(planned, tmp_path)).trial_id == trial_id
    written_over(file)
    plan(path)  # Another sweep begins.
    with pytest.raises(TrialError, match="the images have changed since the sweep was planned"):
        prepare_trial(trial_id, context(planned, tmp_path))


def test_damaged_images_end_a_dry_run_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / "images")
    (tmp_path / "images" / "train" / "dog" / "0002.jpg").write_bytes(b"no image")
    arguments = [str(sweep_file(tmp_path)), "--dry-run", "--data-root", str(tmp_path)]
    assert cli.main(arguments, conclude=lambda folder, console: None) == 2
    assert "train/dog/0002.jpg: not a decodable image (unknown format)" in capsys.readouterr().err


def test_a_missing_folder_ends_it_with_the_line_of_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(sweep_file(tmp_path)), "--dry-run"], conclude=lambda folder, console: None) == 2
    error = capsys.readouterr().err
    assert "tiny.yaml:1: base.data.path: " in error and "images: no such folder" in error
