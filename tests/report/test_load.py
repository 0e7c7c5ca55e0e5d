"""Results as one tidy table, and results that wsnet has not made."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

import wsnet
from tests.report.test_cli import refusal
from tests.tracking.sweeps import write_sweep
from wsnet.report.cli import main
from wsnet.report.sources.read import read_directory, read_place
from wsnet.tracking.client import connect, fail_fast


def test_a_trial_is_a_row_with_its_axes_and_last_measurements(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    frame = wsnet.load(folder.location)
    assert len(frame) == 24
    medians = (
        frame[frame.status == "finished"].groupby(["model.norm.name", "train.batch_size"])["test/top1_error"].median()
    )
    assert medians["batch", 32] == pytest.approx(14.80, abs=0.01)
    assert set(frame["train.batch_size"]) == {2, 4, 32}
    assert {trial.trial_id for trial in sweep.trials} >= set(frame.trial_id)


def test_an_epoch_is_a_row_where_asked(tmp_path: Path) -> None:
    table = wsnet.load(write_sweep(tmp_path)[0].location, epochs=True, arrow=True)
    rows = [row for row in table.to_pylist() if row["model.norm.name"] == "batch" and row["train.batch_size"] == 32]
    assert [row["epoch"] for row in rows] == [1, 2, 3] * 3
    assert rows[1]["test/top1_error"] is None and not math.isnan(rows[0]["test/top1_error"])


def test_importing_wsnet_imports_nothing_heavy() -> None:
    code = "import sys, wsnet; print({'pyarrow', 'pandas', 'torch', 'pydantic'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_trials_file_gives_the_same_table_again(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path)
    assert main([folder.location]) == 0
    again, results = read_place(f"{folder.location}/trials.csv"), read_directory(folder)
    shown = {(trial.seed, trial.status, *trial.axes.values()): trial.metrics for trial in again.trials}
    for trial in results.trials:
        found = shown[(trial.seed, trial.status, *trial.axes.values())]
        assert {k: v for k, v in found.items() if not math.isnan(v)} == {
            k: v for k, v in trial.metrics.items() if not math.isnan(v)
        }


def test_runs_of_another_tool_stand_beside_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = write_sweep(tmp_path)[0].location
    file = tmp_path / "theirs.csv"
    rows = "\n".join(f"batch,32,{seed},{12 + seed}" for seed in range(3))
    file.write_text(f"model.norm.name,train.batch_size,seed,test/top1_error\n{rows}\n")
    assert main([place, str(file), "--out", str(tmp_path / "both"), "--where", "train.batch_size=32"]) == 0
    table = (tmp_path / "both" / "table.md").read_text()
    assert "| batch | 14.80 [14.14, 15.13] | 13.00 [12.00, 14.00] |" in table
    file.write_text("model.norm.name,test/top1_error\nbatch,many\n")
    assert f"{file}:2: test/top1_error must be a number, but got 'many'" in refusal(capsys, str(file))
    file.write_text("model.norm.name,error\nbatch,1\n")
    assert "must have runs and a metric" in refusal(capsys, str(file))


@pytest.mark.slow
def test_runs_that_another_tool_has_logged_to_mlflow_are_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with fail_fast():
        client = connect(uri, create=True)
        experiment = client.create_experiment("theirs", artifact_location=str(tmp_path / "artifacts"))
        for norm, values in {"bn": (10.0, 12.0, 11.0), "gn": (8.0, 7.0, 9.0)}.items():
            for seed, value in enumerate(values):
                run = client.create_run(experiment)
                params = {"norm": norm, "seed": seed, "lr": 0.1}
                for key, text in params.items():
                    client.log_param(run.info.run_id, key, text)
                client.log_metric(run.info.run_id, "test_error", value)
                client.set_terminated(run.info.run_id)
    out = tmp_path / "out"
    assert main(["--tracking-uri", uri, "--experiment", "theirs", "--out", str(out)]) == 0
    lines = (out / "table.md").read_text().splitlines()
    assert "| bn | 11.00 [10.00, 12.00] |" in lines and "| gn | 8.00 [7.00, 9.00] |" in lines
    assert "is not a sweep" in refusal(capsys, "--tracking-uri", uri, "--experiment", "Default")
