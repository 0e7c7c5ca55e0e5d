"""Trials on two workers, through Ray Train's TorchTrainer."""

from pathlib import Path

import pytest

from tests.sweep.tiny import ON_TWO_WORKERS, Ran, alone, records, train, write
from wsnet.config import read_sweep
from wsnet.storage import Folder, TrialDirectory
from wsnet.sweep.planning.plan import make_plan
from wsnet.sweep.trials.failure import in_one_line

FINISHING = {**ON_TWO_WORKERS, "cases": ON_TWO_WORKERS["cases"][1:]}


@pytest.mark.slow
def test_more_trials_of_two_workers_than_fit_wait_and_compute_what_one_worker_computes(
    on_two_workers: Ran, tmp_path: Path
) -> None:
    ran = on_two_workers
    assert "1 trial at a time, 2 workers of 1 CPU each" in ran.printed
    path = write(tmp_path, **{**FINISHING, "resources": {}})
    of_one = make_plan(read_sweep(str(path), []), str(path), root=tmp_path)
    assert [trial.entry.trial_id for trial in of_one.trials] == ran.trial_ids[1:]
    for trial_id in ran.trial_ids[1:]:
        two = ran.directory(trial_id)
        for record, other in zip(alone(two, tmp_path), records(two), strict=True):
            # Sums in another order: a loss moves in its last digits, and an image of the 100 may change sides.
            assert other == pytest.approx(record, rel=1e-3, abs=1.01)
        one = TrialDirectory(Folder(tmp_path / "alone" / trial_id))
        assert two.status() == one.status()


@pytest.mark.slow
def test_a_trial_that_fails_on_its_workers_ends_no_other_and_what_is_done_is_done(on_two_workers: Ran) -> None:
    ran = on_two_workers
    assert [status.status for status in ran.statuses().values()] == ["failed", "finished", "finished"]
    failed = ran.directory(ran.trial_ids[0])
    assert "two images per batch and worker" in failed.status().message  # type: ignore[union-attr]
    assert {"error.txt", "log.txt"} <= set(failed.folder.names())
    assert ran.outcome.progress.count("failed") == 1
    # Without the failed trial there is nothing left to do.
    assert ran.folder.local is not None
    before = ran.touched()
    path = write(ran.folder.local.parent, **FINISHING)
    assert "Every trial is done already." in train(path, ran.folder.local.parent).printed
    assert ran.touched() == before


def test_the_message_is_a_workers_own_where_the_leader_could_not_tell() -> None:
    from ray.train import WorkerGroupError

    worker = RuntimeError(
        "Traceback (most recent call last):\n  File ...\nwsnet.training.execution.TrialError: too few: 1\n"
    )
    error = WorkerGroupError("worker 1 ...", {1: worker})
    assert in_one_line(error) == "TrialError: too few: 1"
    assert in_one_line(ValueError("one\ntwo")) == "ValueError: one"
