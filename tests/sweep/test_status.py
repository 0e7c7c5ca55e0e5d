"""`run_sweep.py status`: from the folder alone, whether the sweep runs or not."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sweep.tiny import command, environment
from tests.tracking.sweeps import write_sweep
from wsnet.report.cli import main as analyze
from wsnet.storage import Status, trial_directory
from wsnet.storage.trial_directory import PAUSED
from wsnet.sweep.cli import main
from wsnet.sweep.commands.sweep_status import read_status
from wsnet.sweep.time_left import EPOCH, TRIAL


def conclude(*_: object) -> None:
    raise AssertionError("nothing is trained")


def test_every_trial_is_counted_in_its_state(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    found = read_status(folder)
    states = {trial.name: trial.state for trial in found.trials}
    assert len(states) == len(sweep.trials) == sum(found.counts().values())
    on_disk = {
        entry.name: (status.status if (status := trial_directory(folder, entry.trial_id).status()) else "not started")
        for entry in sweep.trials
    }
    assert states == {name: "interrupted" if state == "running" else state for name, state in on_disk.items()}
    assert set(found.counts()) == {"finished", "diverged", "stopped", "interrupted", "failed", "not started"}
    assert found.sizes is not None and found.sizes["records and reports"] > 1000


def test_the_files_of_trackers_are_counted_by_tracker_and_a_linked_log_is_not(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path)
    (folder / "wandb" / "offline-run-1").write("run-1.wandb", b"x" * 1000)
    folder.write("wandb.jsonl", b"x" * 100)
    folder.write("mlflow.db", b"x" * 500)
    (tmp_path / "core.log").write_bytes(b"x" * 10_000)
    assert folder.local is not None
    (folder.local / "wandb" / "offline-run-1" / "debug-core.log").symlink_to(tmp_path / "core.log")
    sizes = read_status(folder).sizes
    assert sizes is not None and (sizes["W&B"], sizes["MLflow"]) == (1100, 500)


def test_what_runs_what_failed_and_what_is_damaged_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, sweep = write_sweep(tmp_path)
    places = {entry.name: trial_directory(folder, entry.trial_id) for entry in sweep.trials}
    by_state = {trial.state: trial.name for trial in read_status(folder).trials}
    places[by_state["finished"]].folder.write("status.json", b"{}")
    records = len(places[by_state["not started"]].records())
    places[by_state["not started"]].write_status(Status(status="running", epoch=records, message=PAUSED))
    with places[by_state["interrupted"]].folder.lock():
        assert main(["status", folder.location], conclude=conclude) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == sweep.question and lines[1].startswith(f"{len(sweep.trials)} trials: ")
    assert "1 waiting" in lines[1] and "1 running" in lines[1] and "1 damaged" in lines[1]
    assert lines[lines.index("running:") + 1] == f"  {by_state['interrupted']}: 1 epoch done, 1.5 s per epoch"
    assert lines[lines.index("failed:") + 1].endswith(")") and "for a person" in lines[lines.index("failed:") + 1]
    assert by_state["finished"] in lines[lines.index("damaged:") + 1]


def test_the_time_left_is_told_while_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = write_sweep(tmp_path)
    found = read_status(folder)
    assert found.seconds_left is None, "nothing runs"
    (running,) = [trial for trial in found.trials if trial.state == "interrupted"]
    with trial_directory(folder, running.entry.trial_id).folder.lock():
        assert main(["status", folder.location], conclude=conclude) == 0
        found = read_status(folder)
    unstarted = found.counts()["not started"]
    assert unstarted == 3, "each has 3 epochs of 1.5 s, and the running one has 2 left"
    epochs, trials = 3 * unstarted + 2, unstarted + 1
    assert found.seconds_left == pytest.approx(epochs * (1.5 + EPOCH) + trials * TRIAL)
    assert "about 17 s left, with 1 trial at a time\n" in capsys.readouterr().out


def test_a_folder_without_a_sweep_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)], conclude=conclude) == 2
    assert "it holds no sweep.json" in capsys.readouterr().err


def test_without_a_folder_the_sweeps_are_listed_and_a_sweeps_name_is_recognized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"], conclude=conclude) == 2
    assert "no sweep below ./runs" in capsys.readouterr().err
    folder, sweep = write_sweep(tmp_path / "runs")
    assert folder.local is not None
    name = folder.local.name
    shutil.copytree(folder.local, tmp_path / "runs" / "newer")
    os.utime(folder.local / "sweep.json", (0, 0))
    assert main(["status"], conclude=conclude) == 0
    newer, older = capsys.readouterr().out.splitlines()
    assert newer.startswith(f"runs/newer: {len(sweep.trials)} trials: ") and older.startswith(f"runs/{name}: ")
    assert main(["status", name], conclude=conclude) == 2
    assert capsys.readouterr().err.endswith(f"it holds no sweep.json; did you mean 'runs/{name}'?\n")
    assert analyze([name]) == 2
    assert capsys.readouterr().err.endswith(f"the folder is absent or empty; did you mean 'runs/{name}'?\n")


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path)
    line = [*command("status", folder.location)]
    with subprocess.Popen(
        line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 141)
