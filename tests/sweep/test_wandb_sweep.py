"""Sweeps with --wandb: processes of their own, offline, and what they leave."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sweep.tiny import command, environment, processes, until, write
from tests.tracking.wandb_files import offline_runs
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.sweep.arguments import parser, recorded, write_command

RUN = "tiny.yaml", "--storage", "runs", "--data-root", "runs", "--wandb", "mine"


def surroundings(folder: Path, mode: str) -> Mapping[str, str]:
    """Without the user's own keys and settings of W&B."""
    kept = {key: value for key, value in environment().items() if not key.startswith("WANDB_")}
    homes = {f"WANDB_{name}_DIR": str(folder / "home") for name in ("CONFIG", "CACHE", "DATA")}
    mine = {"WANDB_MODE": mode, "NETRC": str(folder / "netrc"), "WSNET_TEST_MARK": str(folder)}
    return {**kept, **homes, **mine}


def run(folder: Path, *, mode: str = "offline") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*RUN), cwd=folder, env=surroundings(folder, mode), capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_is_in_wandb_once_however_often_it_is_started(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    write(tmp_path, seeds=2)
    first = run(tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    folder = Folder(tmp_path / "runs" / "tiny")
    files = tmp_path / "runs" / "tiny" / "wandb"
    assert first.stdout.splitlines()[-1] == f"Upload to W&B: wandb sync {files}"
    runs, manifest = offline_runs(files), Manifest.read(folder)
    assert set(runs) == {*(entry.trial_id for entry in manifest.trials), "report-tiny"}
    for entry in manifest.trials:
        found, records = runs[entry.trial_id], trial_directory(folder, entry.trial_id).records()
        assert (found.project, found.name, found.tags, found.exit_code) == ("mine", entry.name, ["tiny"], 0)
        assert [(step["_step"], step["test/loss"]) for step in found.history] == [
            (record["epoch"], pytest.approx(record["test/loss"])) for record in records
        ]
        assert found.config["seed"] == entry.seed and found.config["model"]["depth"] == 8
    assert {"report.html", "table.md", "figure.png"} <= set(runs["report-tiny"].files)
    assert folder.exists("mlflow.db"), "MLflow has the sweep, too"
    before = sorted(path.name for path in files.iterdir())
    again = run(tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert sorted(path.name for path in files.iterdir()) == before
    assert not processes(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_leaves_no_process_of_wandb(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    write(tmp_path, seeds=3, train={"epochs": 200})
    files = tmp_path / "runs" / "tiny" / "wandb"
    with subprocess.Popen(
        command(*RUN),
        cwd=tmp_path,
        env=surroundings(tmp_path, "offline"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        until(lambda: list(files.glob("*/*.wandb")), process=process)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=200)
    assert process.returncode == 130
    assert re.sub(r"^tracking: .*up to date\n", "", stderr) == ""
    until(lambda: not processes(tmp_path))


@pytest.mark.slow
def test_what_is_missing_for_wandb_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    write(tmp_path)
    refused = run(tmp_path, mode="online")
    assert refused.returncode == 2 and not (tmp_path / "runs").exists()
    (line,) = refused.stderr.splitlines()
    assert line.startswith("tiny.yaml: --wandb: no API key for ") and "WANDB_MODE=offline" in line


def test_the_project_is_recorded_for_retry(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    write_command(parser().parse_args(["a.yaml", "--wandb", "me/p"]), folder)
    assert recorded(folder)["wandb"] == "me/p"
