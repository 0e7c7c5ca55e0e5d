"""A sweep of two stages, and one with a budget, from the command to the table."""

import re
from pathlib import Path

import pytest

from tests.config.test_stages import STAGES
from tests.sweep.tiny import alone, records, write
from wsnet.report import conclude, read_chosen
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.sweep.cli import main
from wsnet.sweep.cluster.ray_session import Session


@pytest.mark.slow
def test_what_the_first_stage_chose_is_trained_anew_and_alone_in_the_table(
    tmp_path: Path, shared_ray: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, **{**STAGES, "grid": {"model.norm.name": ["batch", "none"], "optim.lr": [10.0, 0.05]}})
    command = [str(path), "--storage", str(tmp_path / "runs")]
    assert main(command, conclude=conclude, choose=read_chosen) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "12 trials, results in" in said and "4 trials, results in" in said
    first, second = (Folder(str(tmp_path / "runs" / name)) for name in ("tiny-tune", "tiny"))
    manifest = Manifest.read(second)
    assert {(entry.seed, entry.axes["optim.lr"]) for entry in manifest.trials} == {(0, 0.05), (1, 0.05)}
    assert {entry.seed for entry in Manifest.read(first).trials} == {1000, 1001, 1002}
    records = [trial_directory(second, entry.trial_id).records()[-1] for entry in manifest.trials]
    assert all("validation/top1_error" not in record and record["train/loss"] < 10 for record in records)
    table = (tmp_path / "runs" / "tiny" / "table.md").read_text()
    assert "selected among 2 candidates in sweep 'tiny-tune'" in table and "at lr=0.05" in table
    assert "selected_among" in (tmp_path / "runs" / "tiny" / "table.csv").read_text()

    logs = {log: log.stat().st_mtime_ns for log in (tmp_path / "runs").glob("*/trials/*/log.tsv")}
    assert main(command, conclude=conclude, choose=read_chosen) == 0
    assert capsys.readouterr().out.count("Every trial is done already.") == 2
    assert {log: log.stat().st_mtime_ns for log in (tmp_path / "runs").glob("*/trials/*/log.tsv")} == logs

    assert main([*command, "--dry-run"], conclude=conclude, choose=read_chosen) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("every trial is done already") == 2 and "2 settings x 2 seeds = 4 trials" in said


@pytest.mark.slow
def test_a_budget_ends_a_sweep_that_the_same_command_continues(
    tmp_path: Path, shared_ray: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, train={"epochs": 10, "steps_per_epoch": 8}, seeds=2)
    command = [str(path), "--storage", str(tmp_path / "runs")]
    assert main([*command, "--budget", "1s"], conclude=conclude) == 3
    said = " ".join(capsys.readouterr().out.split())
    progress = r"with (0 trials done and 2|1 trial done and 1) to go"
    assert re.search(rf"The 1s of --budget are up, {progress}\. To continue, run the same command: ", said)
    assert main(command, conclude=conclude) == 0
    folder = Folder(str(tmp_path / "runs" / "tiny"))
    for entry in Manifest.read(folder).trials:
        directory = trial_directory(folder, entry.trial_id)
        assert records(directory) == alone(directory, tmp_path)
