"""What a trial tells Tune, and how it fails."""

from pathlib import Path

import pytest

from tests.sweep.tiny import write
from wsnet.config import read_sweep
from wsnet.storage import Folder
from wsnet.sweep.trials.context import SweepContext
from wsnet.sweep.trials.failure import in_one_line
from wsnet.sweep.trials.for_tune import for_tune
from wsnet.sweep.trials.trainable import train_job


def test_tune_is_told_neither_of_the_test_set_nor_of_the_layers() -> None:
    record = {"epoch": 2.0, "train/loss": 0.5, "test/loss": 0.6, "layers/bn1/output_mean": 0.1}
    assert for_tune("id", record) == {"trial": "id", "epoch": 2, "train/loss": 0.5}


@pytest.fixture
def untrainable(tmp_path: Path) -> SweepContext:
    """A trial that cannot be trained: it is planned with other images than those that are there."""
    (setting,) = read_sweep(str(write(tmp_path))).settings
    return SweepContext(
        folder=str(tmp_path / "tiny"),
        data_root=str(tmp_path),
        configs={"0123": setting.config.model_dump_json()},
        workers=1,
        cpus=1,
        gpus=0,
        max_failures=0,
        scratch=str(tmp_path),
    )


def test_a_trial_that_cannot_be_trained_is_recorded_and_not_retried(untrainable: SweepContext) -> None:
    train_job({"trial_id": "0123"}, context=untrainable)
    status = untrainable.directory("0123").status()
    assert status is not None and status.status == "failed" and "the images have changed" in status.message


def test_a_failure_that_cannot_be_recorded_is_raised_so_that_it_is_not_taken_for_an_end(
    untrainable: SweepContext,
) -> None:
    (Folder(untrainable.folder) / "trials" / "0123").write("records.jsonl", b"garbled\n")
    with pytest.raises(ValueError, match=r"records\.jsonl is damaged"):
        train_job({"trial_id": "0123"}, context=untrainable)
    assert untrainable.directory("0123").status() is None


def test_a_workers_failure_is_told_whole_with_or_without_its_class() -> None:
    text = "norm 'batch' needs two images, but got train.batch_size=2"
    for last, told in ((f"wsnet.training.TrialError: {text}", f"TrialError: {text}"), (text, text)):
        error = Exception()
        error.worker_failures = {1: f"Traceback\n  ...\n{last}\n"}  # type: ignore[attr-defined]
        assert in_one_line(error) == told
