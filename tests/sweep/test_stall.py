"""`resources.stall_timeout`: a trial that makes no step is ended, retried, and recorded with its reason."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import ROOT, Ran, alone, environment, records, train, write
from wsnet.config import read_sweep
from wsnet.storage import Folder
from wsnet.sweep.arguments import parser, settings
from wsnet.sweep.trials.stall import stall_reason

WATCHED = """
import ctypes, sys, time
from pyarrow import fs
from wsnet.storage import Folder
from wsnet.sweep.trials.stall import StallWatch
how, folder = sys.argv[1:]
if how == "on remote storage":
    folder = Folder("trial", filesystem=fs.SubTreeFileSystem(folder, fs.LocalFileSystem()))
else:
    folder = Folder(folder) / "trial"
folder.write("status.json", b"")
with StallWatch(1.0, folder) as watch:
    time.sleep(1.5)
    watch.start()
    for _ in range(15):
        time.sleep(0.1)
        watch.step()
    if how == "waits":
        with watch.suspended():
            time.sleep(2.0)
    elif how == "sleeps" or how == "on remote storage":
        time.sleep(100)
    elif how == "spins":
        while True:
            pass
    elif how == "holds the lock":
        ctypes.PyDLL(None).sleep(100)
print("ended by itself")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["never", "waits", "sleeps", "spins", "holds the lock", "on remote storage"])
def test_a_process_ends_when_no_step_is_made_and_only_then(how: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, how, str(tmp_path)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    folder = Folder(tmp_path / "trial")
    reason = stall_reason(folder)
    if how in ("never", "waits"):
        assert (done.returncode, done.stdout, reason) == (0, "ended by itself\n", None), done.stderr
        assert folder.names() == ["status.json"]
    else:
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert reason is not None and reason[0] == "no step for 1 s" and 'File "<string>"' in reason[1]


@pytest.mark.parametrize(("text", "seconds"), [("600", 600.0), ("90s", 90.0), ("10min", 600.0), ("1.5 h", 5400.0)])
def test_the_time_has_a_unit_in_the_file_and_on_the_command_line(text: str, seconds: float, tmp_path: Path) -> None:
    path = str(write(tmp_path, resources={"stall_timeout": text}))
    assert read_sweep(path).config.resources.stall_timeout == seconds
    path = str(write(tmp_path, resources={"stall_timeout": 5}))
    arguments = parser().parse_args([path, "--stall-timeout", text])
    assert read_sweep(path, settings(arguments)).config.resources.stall_timeout == seconds
    assert read_sweep(path).config.resources.stall_timeout == 5.0


@pytest.mark.parametrize("text", ["0.5", "ten", "1y", "-3", "inf"])
def test_a_time_that_makes_no_sense_ends_with_status_2(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(["a.yaml", f"--stall-timeout={text}"])
    assert f"must be a time of at least 1 s, such as 600 (seconds), 90s, 10min or 2h, but got '{text}'" in (
        capsys.readouterr().err
    )


def swept(folder: Path, cases: list[dict[str, Any]], **resources: Any) -> Ran:
    (folder / "stalling.py").write_bytes((Path(__file__).parent / "stalling.py").read_bytes())
    cases = [{"model.norm.name": "stalling.py:Stalls", **case} for case in cases]
    return train(write(folder, cases=cases, resources={"stall_timeout": 8, **resources}), folder)


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_trial_that_hangs_is_retried_and_then_fails_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "mark"
    hangs: list[dict[str, Any]] = [
        {"model.norm.how": "holds the lock", "model.norm.mark": str(mark)},
        {"model.norm.how": "sleeps"},
        {"model.norm.how": "never"},
    ]
    ran = swept(tmp_path, hangs, max_failures=1)
    once, always, never = (ran.directory(trial_id) for trial_id in ran.trial_ids)
    assert [s.status for s in ran.statuses().values()] == ["finished", "failed", "finished"]
    assert records(once) == alone(once, tmp_path) and records(never) == alone(never, tmp_path)
    log = (once.folder.read("log.txt") or b"").decode()
    assert mark.exists() and "started again after no step for 8 s" in log and "stalling.py" in log
    status = always.status()
    assert status is not None and status.message == "no step for 8 s"
    assert "failed: no step for 8 s  (" in ran.printed
    error = (always.folder.read("error.txt") or b"").decode()
    assert "in forward" in error and "stalling.py" in error, "it says where the trial was"


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_trial_that_hangs_on_one_of_several_workers_fails_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = swept(tmp_path, [{"model.norm.how": "on the second worker"}], max_failures=0, workers=2)
    (status,) = ran.statuses().values()
    assert (status.status, status.message) == ("failed", "no step for 8 s")
    assert "in forward" in (ran.directory(ran.trial_ids[0]).folder.read("error.txt") or b"").decode()
