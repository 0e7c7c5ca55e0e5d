"""The journal of a sweep's verdicts."""

import json
from pathlib import Path

import pytest
from pyarrow import fs

from wsnet.storage import Folder, RungJournal, StorageError, Verdict


@pytest.fixture(params=["local", "remote"])
def sweep(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A sweep's folder that does not exist yet."""
    if request.param == "local":
        return Folder(tmp_path / "runs")
    return Folder("runs", filesystem=fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))


def verdict(trial_id: str, rung: int, value: float | None = 20.0, stops: bool = False) -> Verdict:
    return Verdict(
        trial_id=trial_id,
        rung=rung,
        metric="validation/top1_error",
        value=value,
        verdict="stop" if stops else "continue",
    )


def add(sweep: Folder, *verdicts: Verdict) -> RungJournal:
    journal = RungJournal(sweep)
    with journal.held():
        journal.add(list(verdicts))
    return journal


def read(sweep: Folder) -> list[Verdict]:
    journal = RungJournal(sweep)
    journal.refresh()
    return journal.verdicts()


def test_a_missing_journal_holds_nothing_and_none_is_made(sweep: Folder) -> None:
    assert read(sweep) == []
    add(sweep)
    assert not sweep.exists("rungs.jsonl")


def test_verdicts_come_back_in_the_order_in_which_they_were_taken(sweep: Folder) -> None:
    taken = [verdict("b", 1), verdict("a", 1, 90.5, stops=True), verdict("b", 3, None)]
    add(sweep, *taken[:2])
    add(sweep, taken[2])
    assert read(sweep) == taken
    lines = (sweep.read("rungs.jsonl") or b"").splitlines()
    assert [json.loads(line) for line in lines][1:] == [
        {"trial_id": "a", "rung": 1, "metric": "validation/top1_error", "value": 90.5, "verdict": "stop"},
        {"trial_id": "b", "rung": 3, "metric": "validation/top1_error", "value": None, "verdict": "continue"},
    ]


def test_a_torn_last_line_is_no_verdict_and_is_gone_with_the_next_one(sweep: Folder) -> None:
    add(sweep, verdict("a", 1))
    sweep.append("rungs.jsonl", b'{"trial_id": "b", "rung": 1, "ver')
    assert read(sweep) == [verdict("a", 1)]
    add(sweep, verdict("c", 1))
    assert read(sweep) == [verdict("a", 1), verdict("c", 1)]
    assert b'"b"' not in (sweep.read("rungs.jsonl") or b"")


def test_a_verdict_of_another_process_is_seen_and_the_first_of_two_stands(sweep: Folder) -> None:
    journal = add(sweep, verdict("a", 1))
    add(sweep, verdict("b", 1, stops=True))
    assert journal.verdict("b", 1) is None
    with journal.held():
        assert journal.verdict("b", 1) == verdict("b", 1, stops=True)
        journal.add([verdict("c", 1)])
    line = (sweep.read("rungs.jsonl") or b"").splitlines()[1]
    sweep.append("rungs.jsonl", line.replace(b"stop", b"continue") + b"\n")
    assert read(sweep) == [verdict("a", 1), verdict("b", 1, stops=True), verdict("c", 1)]


def test_a_file_that_is_no_journal_is_told(sweep: Folder) -> None:
    sweep.write("rungs.jsonl", b'{"epoch": 1}\n')
    with pytest.raises(StorageError, match=r"rungs.jsonl is not a journal of verdicts"):
        read(sweep)
