"""A trial's small files."""

import math
from pathlib import Path

import pytest

from wsnet.storage import Folder, Status, TrialDirectory


@pytest.fixture(params=["local", "mock"])
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> TrialDirectory:
    """The directory of a trial that was never started."""
    return TrialDirectory(Folder(tmp_path / "t1" if request.param == "local" else "mock://runs/t1"))


def test_a_trial_that_was_never_started_has_nothing(trial: TrialDirectory) -> None:
    assert trial.status() is None
    assert trial.records() == []
    assert trial.execution() is None


def test_a_status_comes_back(trial: TrialDirectory) -> None:
    for status in (Status(status="running", epoch=3), Status(status="failed", epoch=3, message="out of memory")):
        trial.write_status(status)
        assert trial.status() == status


def test_finished_diverged_and_stopped_trials_are_never_run_again() -> None:
    final = {word: Status(status=word).is_final for word in ("running", "finished", "diverged", "stopped", "failed")}
    assert final == {"running": False, "finished": True, "diverged": True, "stopped": True, "failed": False}


def test_records_come_back_and_what_is_not_finite_is_nan(trial: TrialDirectory) -> None:
    trial.append_record({"epoch": 1, "train/loss": 0.1 + 0.2})
    trial.append_record({"epoch": 2, "train/loss": math.inf, "test/loss": math.nan})
    first, second = trial.records()
    assert first == {"epoch": 1, "train/loss": 0.1 + 0.2}
    assert second["epoch"] == 2
    assert math.isnan(second["train/loss"])
    assert math.isnan(second["test/loss"])
    assert b"null" in (trial.folder.read("records.jsonl") or b"")


def test_a_torn_last_line_is_no_record_and_the_next_one_is_whole(trial: TrialDirectory) -> None:
    trial.write_records([{"epoch": 1}, {"epoch": 2}])
    trial.folder.append("records.jsonl", b'{"epoch": 3, "train/lo')
    assert trial.records() == [{"epoch": 1}, {"epoch": 2}]
    trial.append_record({"epoch": 3})
    assert trial.records() == [{"epoch": 1}, {"epoch": 2}, {"epoch": 3}]


def test_a_line_torn_off_before_its_newline_is_no_record(trial: TrialDirectory) -> None:
    trial.folder.append("records.jsonl", b'{"epoch": 1}')
    assert trial.records() == []
    trial.append_record({"epoch": 1})
    assert trial.records() == [{"epoch": 1}]


def test_records_can_be_replaced(trial: TrialDirectory) -> None:
    trial.write_records([{"epoch": 1}, {"epoch": 2}])
    trial.write_records([{"epoch": 1}])
    assert trial.records() == [{"epoch": 1}]


def test_an_outcome_says_whether_the_steps_were_compiled(trial: TrialDirectory) -> None:
    trial.write_status(Status(status="running", epoch=0))
    for record, expected in ({"compile": True}, True), ({"compile": False}, False), ({}, False):
        trial.write_execution(record)
        outcome = trial.outcome()
        assert outcome is not None and outcome.is_compiled is expected
    trial.folder.write("execution.json", b"{damaged")
    outcome = trial.outcome()
    assert outcome is not None and outcome.status == "running" and not outcome.is_compiled


def test_the_execution_record_comes_back(trial: TrialDirectory) -> None:
    trial.write_execution({"device": "cpu", "threads": 1})
    assert trial.execution() == {"device": "cpu", "threads": 1}
