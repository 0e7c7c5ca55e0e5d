"""Signals, without Ray; `test_interrupt.py` sends them to a real sweep."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sweep.tiny import environment, processes, until
from wsnet.sweep import signals
from wsnet.sweep.signals import deferred, heeded, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_ray_starts_is_handled_afterwards_as_before(number: signal.Signals) -> None:
    handled = []
    before = signal.signal(number, lambda *_: handled.append(number))
    try:
        with deferred() as deliver:
            if number == signal.SIGTERM:  # As `ray.init` does.
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
            signal.raise_signal(number)
            assert not handled
        assert not handled
        deliver()
        assert handled == [number]
        signal.raise_signal(number)
        assert handled == [number, number]
    finally:
        signal.signal(number, before)


class InItsDestructor:
    """Where Python drops what a signal's handler raises."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_python_drops_is_raised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_PATIENCE", 0.05)
    with interruptible() as interruption:
        InItsDestructor()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(20)
        assert interruption.status == 143


def test_an_interruption_is_not_raised_again_while_it_passes_or_after_it_was_handled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signals, "_PATIENCE", 0.05)
    ended = []
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                time.sleep(0.3)
                ended.append("what cleans up")
        heeded()
        time.sleep(0.3)
        ended.append("what comes afterwards")
    assert len(ended) == 2


STARTS_OTHERS = """
import subprocess, sys, time
from wsnet.sweep.signals import interruptible, scratch_folder, shielded
child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
child += "print('started', flush=True); time.sleep(600)"
with interruptible(), scratch_folder() as folder:
    subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
    print(folder, flush=True)
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        with shielded():
            print("shutting down", flush=True)
            time.sleep(600)
"""


def test_a_second_signal_ends_it_at_once_with_all_that_it_started_whatever_their_groups(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STARTS_OTHERS],
        env={**environment(), "WSNET_TEST_MARK": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = {process.stdout.readline(), process.stdout.readline()}
    (scratch,) = lines - {"started\n"}
    until(lambda: len(processes(tmp_path)) == 3, process=process)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "shutting down\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "\nEnded at once. Run the same command to continue.\n")
    until(lambda: not processes(tmp_path))
    assert not Path(scratch.strip()).exists()
