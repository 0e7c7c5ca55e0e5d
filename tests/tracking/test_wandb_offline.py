"""The mirror into W&B while it is offline: its files are read back."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracking.sweeps import train, write_sweep
from tests.tracking.wandb_files import offline_runs
from tests.tracking.wandb_server import ServedRun, served
from tests.tracking.wandb_sweeps import KEY, epochs, files, mirrored, small, tracker, until
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.tracking import upload_report


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_offline_there_is_a_file_for_each_trial_that_has_ended(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    mirrored(folder, sweep)
    runs = offline_runs(files(folder))
    statuses = {entry.trial_id: trial_directory(folder, entry.trial_id).status() for entry in sweep.trials}
    assert set(runs) == {name for name, status in statuses.items() if status and status.status != "running"}
    assert {(run.summary["status"], run.exit_code) for run in runs.values()} == {
        ("finished", 0),
        ("stopped", 0),
        ("diverged", 1),
        ("failed", 1),
    }
    entry = sweep.trials[-1]
    run, records = runs[entry.trial_id], trial_directory(folder, entry.trial_id).records()
    assert (run.name, run.group, run.job_type, run.project, run.tags) == (
        "on-b4-s2",
        "on-b4",
        "trial",
        "p",
        ["batches"],
    )
    assert run.config["optim"] == {"lr": 1e-3, "milestones": [30, 60]}
    assert run.config["varied"]["model"] == {"norm": {"name": "online"}, "weight": "standardized"}
    assert run.config["wsnet"]["revision"] == "abc"
    assert epochs(run.history) == [1, 2, 3]
    for step, record in zip(run.history, records, strict=True):
        assert {key: step[key] for key in record} == pytest.approx(record)
    assert run.summary["test/top1_error"] == pytest.approx(records[-1]["test/top1_error"])


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_second_start_writes_only_what_has_changed(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path / "s"), small()
    first, second, third = sweep.trials
    train(folder, first)
    train(folder, second, "failed", 1)
    mirrored(folder, sweep)
    before = {path.name for path in files(folder).iterdir()}
    made = mirrored(folder, sweep)
    assert {path.name for path in files(folder).iterdir()} == before
    assert made.lines() == [f"Upload to W&B: wandb sync {files(folder)}"]
    train(folder, second)
    train(folder, third)
    mirrored(folder, sweep)
    runs = offline_runs(files(folder))
    assert [epochs(run.history) for run in runs.values()] == [[1, 2, 3]] * 3
    assert set(runs) == {first.trial_id, second.trial_id, third.trial_id}
    assert {run.summary["status"] for run in runs.values()} == {"finished"}
    assert {path.name for path in files(folder).iterdir() if first.trial_id in path.name} < before


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_what_wandb_sync_has_uploaded_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sweep, runs = Folder(tmp_path / "s"), small(), dict[str, ServedRun]()
    entry = sweep.trials[0]

    def sync() -> list[str]:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", address)
        monkeypatch.delenv("WANDB_MODE")
        command = [sys.executable, "-m", "wandb", "sync", str(files(folder))]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)  # It writes logs there.
        monkeypatch.setenv("WANDB_MODE", "offline")
        return tracker(folder, sweep).lines()

    with served(runs) as address:
        train(folder, entry, "failed", 1)
        assert mirrored(folder, sweep).lines() != []
        assert sync() == []
        train(folder, entry, "failed", 2)
        mirrored(folder, sweep)
        train(folder, entry)  # Once more before the upload: the second file is written again.
        mirrored(folder, sweep)
        assert len(list(files(folder).iterdir())) == 2
        assert sync() == []
        other = Manifest(**{**vars(sweep), "name": "renamed"})
        mirrored(folder, other)
        assert sync() == []
    run = runs[entry.trial_id]
    assert epochs(run.history) == [1, 2, 3] and run.exit_code == 0
    assert run.summary["status"] == "finished" and run.shown["tags"] == ["renamed"]


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_run_whose_writing_was_cut_off_is_written_again(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path / "s"), small()
    train(folder, sweep.trials[0])
    mirrored(folder, sweep)
    (run,) = files(folder).iterdir()
    (file,) = run.glob("*.wandb")
    file.write_bytes(file.read_bytes()[:200])
    folder.delete("wandb.jsonl")  # The upload is noted last.
    mirrored(folder, sweep)
    (again,) = offline_runs(files(folder)).values()
    assert epochs(again.history) == [1, 2, 3] and again.exit_code == 0


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_the_report_is_a_run_with_its_files_and_is_written_once(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path / "s"), small()
    folder.write("table.md", b"first")
    folder.write("report.html", b"<p>")
    made = tracker(folder, sweep)
    for _ in range(2):
        assert upload_report(made, ["report.html", "table.md"]) is None
        (run,) = offline_runs(files(folder)).values()
        assert (run.run_id, run.job_type, run.exit_code) == ("report-batches", "report", 0)
        assert sorted(run.files) == ["report.html", "table.md"]
    (before,) = files(folder).iterdir()
    assert (before / "files" / "table.md").read_bytes() == b"first"
    folder.write("table.md", b"second")
    assert upload_report(made, ["report.html", "table.md"]) is None
    (after,) = files(folder).iterdir()
    assert (after / "files" / "table.md").read_bytes() == b"second"


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_wandbs_service_dies_with_a_killed_driver(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from tests.tracking.sweeps import train
from tests.tracking.wandb_sweeps import small, tracker
from wsnet.storage import Folder
from wsnet.tracking import Mirror
folder, sweep = Folder({str(tmp_path / "s")!r}), small()
train(folder, sweep.trials[0])
made = tracker(folder, sweep)
mirror = Mirror(folder, sweep, made)
while mirror.waiting:
    time.sleep(0.1)
print("uploaded", flush=True)
time.sleep(600)
"""
    environment = {**os.environ, "WSNET_TEST_MARK": str(tmp_path)}
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    assert child.stdout.readline() == "uploaded\n"
    service = [pid for pid in marked(tmp_path) if pid != child.pid]
    assert service, "a process of its own"
    child.send_signal(signal.SIGKILL)
    child.wait()
    until(lambda: not marked(tmp_path), 30)


def marked(mark: Path) -> list[int]:
    """Processes that were started with the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"WSNET_TEST_MARK={mark}\0".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
