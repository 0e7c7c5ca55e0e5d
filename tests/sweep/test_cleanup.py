"""`run_sweep.py gc`: what it deletes, and what it never does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep.tiny import environment
from tests.tracking.sweeps import write_sweep
from wsnet.storage import STOPPED_BY_USER, Folder, Manifest, Status, trial_directory
from wsnet.sweep.cli import main
from wsnet.sweep.commands.gc import leftovers


def run(*arguments: str) -> int:
    return main(list(arguments), conclude=lambda folder, console: None)


def files(folder: Folder) -> dict[str, bytes]:
    """Every file but the leases, by its path in the sweep's folder."""
    assert folder.local is not None
    found = {str(p.relative_to(folder.local)): p.read_bytes() for p in folder.local.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not name.endswith(".lease")}


@pytest.fixture
def littered(tmp_path: Path) -> Folder:
    """A sweep whose trials have every file that a trial may have; one left the sweep, one was stopped by the user."""
    folder, sweep = write_sweep(tmp_path)
    listed = sweep.trials[1:]
    trial_directory(folder, listed[0].trial_id).write_status(Status(status="stopped", epoch=3, message=STOPPED_BY_USER))
    for entry in sweep.trials:
        directory = trial_directory(folder, entry.trial_id)
        if directory.status() is None:
            continue
        for name in ("last.pt", "previous.pt", "step.pt", "best.pt", "epoch_0001.pt", "log.txt", "execution.json"):
            directory.folder.write(name, b"0123456789")
        directory.folder.write("last.pt.damaged", b"0")
        for name, age in ((".last.pt.abcdefgh", 7200), (".status.json.abcdefgh", 60)):
            assert directory.folder.local is not None
            path = directory.folder.local / name
            path.write_bytes(b"0")
            os.utime(path, (path.stat().st_mtime - age,) * 2)
    Manifest(**{**sweep.__dict__, "trials": listed}).write(folder)
    folder.write("mlflow.db", b"0")
    return folder


def test_it_deletes_what_no_report_needs_and_only_if_asked(
    littered: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(littered)
    assert run("gc", littered.location) == 0
    told = capsys.readouterr().out.splitlines()
    assert files(littered) == before
    assert told[-1].startswith("Nothing was deleted. With --delete, these ") and "continued to more epochs" in told[-3]
    assert run("gc", littered.location, "--delete") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Deleted ")

    after, expected = files(littered), dict(before)
    for entry in Manifest.read(littered).trials:
        status = trial_directory(littered, entry.trial_id).status()
        if status is None:
            continue
        names = ["last.pt.damaged", ".last.pt.abcdefgh"]
        names += ["last.pt", "previous.pt", "step.pt"] if status.is_final else []
        for name in names:
            del expected[f"trials/{entry.trial_id}/{name}"]
    assert after == expected and len(after) < len(before)
    by_user = Manifest.read(littered).trials[0]
    assert f"trials/{by_user.trial_id}/last.pt" in after, "it goes on from there after retry"
    assert run("gc", littered.location) == 0
    assert capsys.readouterr().out == "nothing to delete\n"


def test_trials_that_left_the_sweep_are_deleted_only_by_name_of_that_option(littered: Folder) -> None:
    listed = {entry.trial_id for entry in Manifest.read(littered).trials}
    (gone,) = set((littered / "trials").names()) - listed
    assert run("gc", littered.location, "--delete") == 0
    assert f"trials/{gone}/records.jsonl" in files(littered)
    assert run("gc", littered.location, "--unlisted", "--delete") == 0
    assert set((littered / "trials").names()) < listed


HOLD = """
import contextlib, sys, time
from wsnet.storage import Folder
with contextlib.ExitStack() as locks:
    for folder in sys.argv[1:]:
        locks.enter_context(Folder(folder).lock())
    print("held", flush=True)
    time.sleep(600)
"""


def test_nothing_of_a_trial_that_another_process_holds_is_deleted(littered: Folder) -> None:
    listed = {entry.trial_id for entry in Manifest.read(littered).trials}
    (gone,) = set((littered / "trials").names()) - listed
    ended = next(t for t in listed if (s := trial_directory(littered, t).status()) is not None and s.is_final)
    before = files(littered)
    folders = [trial_directory(littered, trial_id).folder.location for trial_id in (gone, ended)]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *folders], env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert list(leftovers(littered, unlisted=True, delete=True))
    finally:
        process.kill()
        process.communicate()
    held = {name for name in before if gone in name or ended in name}
    assert len(held) > 10 and held <= set(files(littered))
    assert any(ended in str(found.path) for found in leftovers(littered))


def test_all_sweeps_below_a_folder_are_cleaned_and_one_without_is_one_line(
    littered: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("gc", str(tmp_path), "--delete") == 0
    assert "Deleted " in capsys.readouterr().out and list(leftovers(littered)) == []
    (tmp_path / "empty").mkdir()
    assert run("gc", str(tmp_path / "empty")) == 2
    assert "nor in a folder in it" in capsys.readouterr().err
    assert run("gc", "mock://runs") == 2
    assert "gc needs a local folder" in capsys.readouterr().err
