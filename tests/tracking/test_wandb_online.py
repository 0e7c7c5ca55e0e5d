"""The mirror into W&B online: into a server of the tests'."""

import time
from pathlib import Path

import pytest

from tests.tracking.sweeps import train
from tests.tracking.wandb_server import ServedRun, served
from tests.tracking.wandb_sweeps import epochs, files, left, mirrored, small, tracker, until
from wsnet.storage import Folder
from wsnet.tracking import Mirror


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_online_a_run_grows_while_its_trial_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sweep, runs = Folder(tmp_path / "s"), small(), dict[str, ServedRun]()
    entry = sweep.trials[0]
    with served(runs) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        train(folder, entry, "running", 1)
        made = tracker(folder, sweep)
        mirror = Mirror(folder, sweep, made)
        until(lambda: entry.trial_id in runs)
        train(folder, entry, "running", 2)
        mirror.changed(entry.trial_id)
        train(folder, entry)
        mirror.changed(entry.trial_id)
        assert mirror.close(60) == [], mirror.trouble
        left(made)
    run = runs[entry.trial_id]
    assert epochs(run.history) == [1, 2, 3]
    assert (run.exit_code, run.opened, run.summary["status"]) == (0, 1, "finished")
    assert (run.shown["groupName"], run.shown["jobType"], run.shown["displayName"]) == ("bn-b4", "trial", "bn-b4-s0")
    assert run.shown["program"] == "wsnet" and not {"host", "commit", "repo"} & set(run.shown)
    assert made.lines() == [f"Compare runs in W&B: {address}/me/p"]
    assert not files(folder).exists(), "the server has everything"


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_online_a_trial_that_was_interrupted_goes_on_in_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sweep, runs = Folder(tmp_path / "s"), small(), dict[str, ServedRun]()
    entry = sweep.trials[0]
    with served(runs) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        train(folder, entry, "running", 2)
        mirrored(folder, sweep)
        assert epochs(runs[entry.trial_id].history) == [1, 2] and runs[entry.trial_id].exit_code == 1
        train(folder, entry)
        mirrored(folder, sweep)
        folder.delete("wandb.jsonl")  # As after a kill just before the upload was noted.
        mirrored(folder, sweep)
    assert epochs(runs[entry.trial_id].history) == [1, 2, 3] and runs[entry.trial_id].exit_code == 0
    assert list(runs) == [entry.trial_id]


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_a_server_that_is_down_holds_nobody_up_and_gets_everything_from_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sweep, runs = Folder(tmp_path / "s"), small(), dict[str, ServedRun]()
    for entry in sweep.trials:
        train(folder, entry)
    with served({}) as address:
        port = int(address.rpartition(":")[2])
    monkeypatch.setenv("WANDB_BASE_URL", address)
    monkeypatch.setattr("wsnet.tracking.wandb_client._SECONDS", 2.0)
    mirror = Mirror(folder, sweep, made := tracker(folder, sweep))
    until(lambda: mirror.trouble is not None)
    assert mirror.trouble == f"W&B at {address} cannot be reached; 3 trials wait"
    start = time.monotonic()
    assert mirror.close(3.0) == sorted(entry.trial_id for entry in sweep.trials)
    assert time.monotonic() - start < 9
    left(made)
    with served(runs, port):
        mirrored(folder, sweep)
    assert set(runs) == {entry.trial_id for entry in sweep.trials}
    assert [epochs(run.history) for run in runs.values()] == [[1, 2, 3]] * 3
