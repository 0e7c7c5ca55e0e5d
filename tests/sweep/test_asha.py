"""Successive halving on a real Ray."""

import shutil
from pathlib import Path

import pytest

from tests.sweep.tiny import Ran, train, write
from wsnet.sweep.cluster.ray_session import Session

pytestmark = pytest.mark.slow

LRS = [0.1, 0.05, 1e-3, 1e-4, 1e-5, 1e-6]


def halving(tmp_path: Path, lrs: list[float] = LRS) -> Ran:
    scheduler = {"name": "asha", "grace": 1, "eta": 2}
    path = write(
        tmp_path,
        train={"epochs": 4, "steps_per_epoch": 6},
        grid={"optim.lr": lrs},
        scheduler=scheduler,
        resources={"max_concurrent": 1},  # One after the other: what stops is then the same every time.
    )
    return train(path, tmp_path)


@pytest.fixture(scope="module")
def halved(shared_ray: Session, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return halving(tmp_path_factory.mktemp("asha"))


def copied(ran: Ran, folder: Path) -> Path:
    assert ran.folder.local is not None
    shutil.copytree(ran.folder.local, folder / "tiny")
    return folder


def test_halving_stops_trials_at_rungs_and_a_second_run_changes_nothing(halved: Ran, tmp_path: Path) -> None:
    ends = list(halved.statuses().values())
    assert {status.status for status in ends} == {"stopped", "finished"}
    assert all(status.epoch == 4 for status in ends if status.status == "finished")
    stopped = [status for status in ends if status.status == "stopped"]
    assert len(stopped) >= 2
    assert all(status.epoch in (1, 2) and status.message == "stopped by the scheduler" for status in stopped)
    assert halved.outcome.progress.done == len(LRS)
    assert all(len(halved.directory(i).records()) == s.epoch for i, s in zip(halved.trial_ids, ends, strict=True))

    again = halving(copied(halved, tmp_path))
    assert "Every trial is done already." in again.printed
    assert (again.touched(), again.statuses()) == (halved.touched(), halved.statuses())


def test_a_new_trial_is_measured_against_the_trials_of_earlier_runs(halved: Ran, tmp_path: Path) -> None:
    wider = halving(copied(halved, tmp_path), [*LRS, 1e-7])
    new = wider.directory(wider.trial_ids[-1]).status()
    assert new is not None and new.status == "stopped", "alone, it would have gone on to the end"
    assert {k: v for k, v in wider.touched().items() if k in halved.touched()} == halved.touched()
