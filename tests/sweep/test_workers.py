"""Trials on two workers, through Ray Train's TorchTrainer."""

from pathlib import Path

import pytest
from ray.train import WorkerGroupError

from tests.sweep.tiny import records, train, write
from wsnet.sweep.trainable import _message

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]

GROUP = {"model.norm.name": "group", "model.norm.groups": 2}


def test_more_trials_of_two_workers_than_fit_wait_and_compute_what_one_worker_computes(tmp_path: Path) -> None:
    ran = {}
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        path = write(
            tmp_path / str(workers),
            cases=[GROUP],
            grid={"optim.lr": [0.05, 0.02]},
            resources={"workers": workers},
        )
        ran[workers] = train(path, tmp_path / str(workers))
    assert "1 trial at a time, 2 workers of 1 CPU each" in ran[2].printed
    assert ran[1].trial_ids == ran[2].trial_ids
    for trial_id in ran[1].trial_ids:
        one, two = (ran[workers].directory(trial_id) for workers in (1, 2))
        assert two.status() == one.status()
        for record, other in zip(records(one), records(two), strict=True):
            # Sums in another order: a loss moves in its last digits, and an image of the 100 may change sides.
            assert other == pytest.approx(record, rel=1e-3, abs=1.01)
    again = train(tmp_path / "2" / "tiny.yaml", tmp_path / "2")
    assert again.touched() == ran[2].touched()


def test_a_trial_that_fails_on_its_workers_ends_no_other(tmp_path: Path) -> None:
    # Four downsamplings take an 8x8 digit to 1x1, where batch norm has nothing to normalize a single image with.
    resnet = {"model": {"name": "resnet", "depth": 18, "stem": "imagenet"}, "train.batch_size": 2}
    path = write(tmp_path, cases=[resnet, GROUP], resources={"workers": 2, "max_failures": 0})
    ran = train(path, tmp_path)
    assert [status.status for status in ran.statuses().values()] == ["failed", "finished"]
    failed = ran.directory(ran.trial_ids[0])
    assert "two images per batch and worker" in failed.status().message  # type: ignore[union-attr]
    assert {"error.txt", "log.txt"} <= set(failed.folder.names())
    assert ran.outcome.progress.count("failed") == 1


def test_the_message_is_a_workers_own_where_the_leader_could_not_tell() -> None:
    worker = RuntimeError(
        "Traceback (most recent call last):\n  File ...\nwsnet.training.execution.TrialError: too few: 1\n"
    )
    error = WorkerGroupError("worker 1 ...", {1: worker})
    assert _message(error) == "TrialError: too few: 1"
    assert _message(ValueError("one\ntwo")) == "ValueError: one"
