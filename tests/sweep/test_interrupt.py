"""Sweeps that are killed, interrupted, or started twice: processes of their own."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sweep.tiny import alone, command, environment, records, until, write
from wsnet.storage import Folder, TrialDirectory

pytestmark = pytest.mark.slow

EPOCHS = 50
"""Enough to be caught in the middle."""


def arguments(tmp_path: Path) -> list[str]:
    path = write(tmp_path, train={"epochs": EPOCHS, "steps_per_epoch": 2}, grid={"optim.lr": [0.1, 0.05]})
    return command(path, "--storage", tmp_path / "runs")


@contextmanager
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A sweep in a process group of its own, as a shell starts it."""
    process = subprocess.Popen(
        arguments(tmp_path),
        env={**environment(), "WSNET_TEST_MARK": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def trials(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "tiny" / "trials"


def epochs(tmp_path: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in trials(tmp_path).glob("*/records.jsonl"))


def under_way(tmp_path: Path, process: subprocess.Popen[str]) -> None:
    until(lambda: epochs(tmp_path) >= 10, process=process)


def assert_whole(tmp_path: Path) -> None:
    """Every trial is finished, with the records of an undisturbed run."""
    directories = [TrialDirectory(Folder(folder)) for folder in trials(tmp_path).iterdir()]
    assert len(directories) == 2
    for directory in directories:
        status = directory.status()
        assert status is not None and (status.status, status.epoch) == ("finished", EPOCHS)
        assert records(directory) == alone(directory, tmp_path)


def processes(mark: Path) -> list[int]:
    """Processes started by the sweep, and theirs: they have the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"WSNET_TEST_MARK={mark}\0".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # It has ended, or is somebody else's.
            continue
    return found


def test_a_killed_driver_goes_on_where_it_was(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        under_way(tmp_path, process)
        process.kill()
        process.wait()
    # At once: actors of the dead driver may still be there, and the locks keep the new ones from their trials.
    done = subprocess.run(arguments(tmp_path), env=environment(), capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert_whole(tmp_path)


@pytest.mark.parametrize(("sent", "whole_group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_an_interrupted_sweep_says_how_to_go_on_and_leaves_no_process(
    sent: signal.Signals, whole_group: bool, tmp_path: Path
) -> None:
    with started(tmp_path) as process:
        under_way(tmp_path, process)
        assert len(processes(tmp_path)) > 3
        os.killpg(process.pid, sent) if whole_group else process.send_signal(sent)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "")
    assert "Interrupted with " in stdout and "to go. To continue, run the same command: python run_sweep.py " in stdout
    assert "Traceback" not in stdout
    until(lambda: not processes(tmp_path), seconds=10)
    if sent is signal.SIGINT:
        done = subprocess.run(arguments(tmp_path), env=environment(), capture_output=True, text=True, timeout=200)
        assert (done.returncode, done.stderr) == (0, "")
        assert_whole(tmp_path)


def test_a_second_interrupt_ends_at_once_and_without_a_traceback(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        under_way(tmp_path, process)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted" in stdout + stderr
    assert "Traceback" not in stdout + stderr
    until(lambda: not processes(tmp_path), seconds=15)


def test_two_starts_at_once_share_the_work(tmp_path: Path) -> None:
    with started(tmp_path) as one, started(tmp_path) as other:
        for process in (one, other):
            stdout, stderr = process.communicate(timeout=250)
            assert (process.returncode, stderr) == (0, ""), stdout
    assert_whole(tmp_path)
    for log in trials(tmp_path).glob("*/log.tsv"):
        assert log.read_text().count("\n") == 1 + EPOCHS, "an epoch was trained twice"
