"""The note of what a sweep's first report was about, and what later reports make of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wsnet.storage import Folder, Manifest, StorageError, TrialEntry, note_first_report, since_first_report

COMPARE = {"keys": ["norm"], "against": ['"batch"'], "settings": None, "at": None, "count": 1}


def manifest(seeds: Sequence[int] = (0, 1), *, against: str | None = "batch", **report: Any) -> Manifest:
    compare = {} if against is None else {"compare": {**COMPARE, "written": {"against": {"norm": against}}}}
    trials = [
        TrialEntry(trial_id=f"{norm}-{seed}", setting_id=norm, seed=seed, name="", axes={"norm": norm})
        for norm in ("batch", "group")
        for seed in seeds
    ]
    report = {"metric": "test/top1_error", **compare, **report}
    return Manifest(name="s", question="", report=report, axes=["norm"], trials=trials)


def reported(folder: Path, first: Manifest, **statuses: str) -> Folder:
    """A sweep's folder after the report on a run; its trials finished, except as said."""
    sweep = Folder(folder)
    first.write(sweep)
    ended = {entry.trial_id: "finished" for entry in first.trials}
    note_first_report(sweep, ended | {name.replace("_", "-"): status for name, status in statuses.items()})
    return sweep


def changes(sweep: Folder, now: Manifest) -> dict[str, Any] | None:
    return since_first_report(sweep, now).report.get("after_report")


def test_seeds_added_after_the_first_report_are_known_from_then_on(tmp_path: Path) -> None:
    sweep = reported(tmp_path, manifest())
    more = manifest((0, 1, 5, 6))
    assert changes(sweep, more) == {"seeds": [5, 6], "removed": [], "compare_changed": False}
    more.write(sweep)
    note_first_report(sweep, {entry.trial_id: "finished" for entry in more.trials})  # The second report.
    assert changes(sweep, more) == {"seeds": [5, 6], "removed": [], "compare_changed": False}
    assert changes(sweep, manifest((1,))) == {"seeds": [], "removed": [0], "compare_changed": False}


def test_a_sweep_that_is_as_it_was_has_no_changes(tmp_path: Path) -> None:
    sweep, same = reported(tmp_path, manifest()), manifest()
    assert since_first_report(sweep, same) is same
    assert changes(sweep, manifest((1, 0))) is None  # The order of seeds means nothing.


@pytest.mark.parametrize("now", [manifest(against="group"), manifest(against=None), manifest(metric="test/loss")])
def test_other_comparisons_or_another_metric_are_a_change(tmp_path: Path, now: Manifest) -> None:
    found = changes(reported(tmp_path, manifest()), now)
    assert found == {"seeds": [], "removed": [], "compare_changed": True}


def test_comparisons_declared_only_after_a_report_are_a_change(tmp_path: Path) -> None:
    found = changes(reported(tmp_path, manifest(against=None)), manifest())
    assert found == {"seeds": [], "removed": [], "compare_changed": True}


def test_a_further_row_is_no_change_of_what_was_written(tmp_path: Path) -> None:
    sweep, more = reported(tmp_path, manifest()), manifest()
    more.report["compare"] = {**more.report["compare"], "keys": ["norm", "weight"], "count": 7}
    assert since_first_report(sweep, more) is more


@pytest.mark.parametrize("status", ["running", None])
def test_a_report_on_an_unfinished_sweep_is_not_noted(tmp_path: Path, status: str | None) -> None:
    sweep, first = Folder(tmp_path), manifest()
    first.write(sweep)
    statuses = {entry.trial_id: "finished" for entry in first.trials[1:]}
    note_first_report(sweep, statuses if status is None else {**statuses, first.trials[0].trial_id: status})
    assert changes(sweep, manifest((0, 1, 2))) is None and not sweep.exists("first_report.json")


def test_trials_that_diverged_crashed_or_were_stopped_have_ended(tmp_path: Path) -> None:
    sweep = reported(tmp_path, manifest(), batch_0="diverged", batch_1="failed", group_0="stopped")
    note = json.loads(sweep.read("first_report.json") or b"")
    assert note["seeds"] == [0, 1] and note["metric"] == "test/top1_error" and note["date"].endswith("+00:00")
    assert note["compare"] == {"against": {"norm": "batch"}}


def test_a_damaged_note_is_one_line_with_a_way_out(tmp_path: Path) -> None:
    sweep = reported(tmp_path, manifest())
    sweep.write("first_report.json", b'{"seeds": "x"')
    with pytest.raises(StorageError, match=r"first_report\.json is not the note of a report; if nothing was added"):
        since_first_report(sweep, manifest())
