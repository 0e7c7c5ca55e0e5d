"""Sweeps that are killed, interrupted, or started twice: processes of their own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.sweep.sockets import LOOPBACK, listening
from tests.sweep.started import (
    EPOCHS,
    Undisturbed,
    arguments,
    assert_each_has_one_run,
    assert_whole,
    started,
    sweep_file,
    trials,
    under_way,
)
from tests.sweep.tiny import ROOT, environment, processes, train, until, writers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("shared_ray")]


@pytest.fixture(scope="module")
def undisturbed() -> Undisturbed:
    """Records of trials trained by `fit` alone, by trial: those of the first test that needs them."""
    return {}


def test_a_killed_driver_goes_on_where_it_was(tmp_path: Path, undisturbed: Undisturbed) -> None:
    with started(tmp_path) as process:
        under_way(tmp_path, process)
        process.kill()
        process.wait()
    # At once: actors of the dead driver may still be there, and the locks keep the new ones from their trials.
    train(sweep_file(tmp_path), tmp_path / "runs")
    assert_whole(tmp_path, undisturbed)


SAID = f"to go. To continue, run the same command: python {ROOT / 'run_sweep.py'} "  # As it was called.


def test_an_interrupted_sweep_says_how_to_go_on_leaves_no_process_and_nobody_else_could_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has_dashboard() -> bool:
        return any("dashboard/dashboard.py" in command for command, _ in listening(processes(tmp_path)))

    monkeypatch.setenv("WSNET_DASHBOARD", "1")
    until_interrupted = {"epochs": 100_000, "steps_per_epoch": 2}  # The dashboard takes seconds to start.
    with started(tmp_path, train=until_interrupted) as process:
        under_way(tmp_path, process)
        assert len(processes(tmp_path)) > 3
        until(has_dashboard, process=process)
        servers = listening(processes(tmp_path))
        assert len(servers) > 4 and {address for _, address in servers} <= LOOPBACK, servers
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group.
        stdout, stderr = process.communicate(timeout=200)
    assert (process.returncode, besides_uploads(stderr)) == (130, "")
    assert "Interrupted with " in stdout and SAID in stdout
    assert "Traceback" not in stdout
    until(lambda: not processes(tmp_path))


def besides_uploads(stderr: str) -> str:
    """Without the line about MLflow, which on a busy machine takes longer than the seconds that it gets at the end."""
    return re.sub(r"^tracking: .*up to date\n", "", stderr)


def test_a_second_interruption_ends_it_at_once_and_leaves_nothing(
    tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Path(tempfile.mkdtemp())  # Ray's sockets need a short path.
    monkeypatch.setenv("RAY_TMPDIR", tempfile.gettempdir())
    monkeypatch.setenv("TMPDIR", str(scratch))
    with started(tmp_path) as process:
        under_way(tmp_path, process)
        assert list(scratch.glob("wsnet-*"))
        while process.poll() is None:  # Two signals that come before a busy process sees the first are one.
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.3)
        stdout, stderr = process.communicate(timeout=200)
    assert (process.returncode, stderr) == (130, "\nEnded at once. Run the same command to continue.\n")
    assert "Interrupted with " not in stdout
    until(lambda: not processes(tmp_path))
    assert not list(scratch.glob("wsnet-*"))
    shutil.rmtree(scratch)
    train(sweep_file(tmp_path), tmp_path / "runs")
    assert_whole(tmp_path, undisturbed)


def test_a_terminated_sweep_says_how_to_go_on_and_leaves_no_trial_running_on_its_cluster(
    tmp_path: Path, cluster: str
) -> None:
    with started(tmp_path, "--address", cluster) as process:
        under_way(tmp_path, process)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=200)
    assert (process.returncode, besides_uploads(stderr)) == (143, "")
    assert "Interrupted with " in stdout and SAID in stdout
    assert "Traceback" not in stdout
    until(lambda: not processes(tmp_path) and not writers(trials(tmp_path)))


def test_two_starts_at_once_share_the_work(tmp_path: Path, cluster: str, undisturbed: Undisturbed) -> None:
    said = ""
    with started(tmp_path, "--address", cluster) as one, started(tmp_path, "--address", cluster) as other:
        for process in (one, other):
            stdout, stderr = process.communicate(timeout=250)
            assert (process.returncode, stderr) == (0, ""), stdout
            said += stdout
        pids = one.pid, other.pid
    assert_whole(tmp_path, undisturbed)
    (who,) = [line for line in said.splitlines() if "is at this sweep, too" in line]
    assert who.startswith(tuple(f"process {pid} on {socket.gethostname()} since 20" for pid in pids))
    assert_each_has_one_run(tmp_path)
    for log in trials(tmp_path).glob("*/log.tsv"):
        assert log.read_text().count("\n") == 1 + EPOCHS, "an epoch was trained twice"


@pytest.mark.parametrize(
    ("number", "status", "is_repeated"),
    [(signal.SIGINT, 130, False), (signal.SIGTERM, 143, False), (signal.SIGTERM, 143, True)],
)
def test_a_signal_in_the_first_seconds_ends_it_and_leaves_nothing(
    number: signal.Signals, status: int, is_repeated: bool, tmp_path: Path
) -> None:
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(  # As a shell starts a background job: it ignores SIGINT.
        [sys.executable, "-c", ignoring, *arguments(tmp_path)],
        env={**environment(), "WSNET_TEST_MARK": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: (tmp_path / "runs" / "tiny" / "sweep.json").exists(), process=process)
    time.sleep(1.0)  # Ray is starting.
    send(process, number)
    while is_repeated and process.poll() is None:  # Two that come before a busy process sees the first are one.
        time.sleep(0.3)
        send(process, number)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == status, stdout + stderr
    said = "Ended at once" if is_repeated else "Interrupted"
    assert said in stdout + stderr and "Traceback" not in stdout + stderr
    until(lambda: not processes(tmp_path))


def send(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal as it comes: Ctrl-C reaches the whole process group."""
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
