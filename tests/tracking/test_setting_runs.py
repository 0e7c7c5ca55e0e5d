"""The runs of settings in a real SQLite database, above those of their trials."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.tracking.stores import mirror, mirrored_copy, mirrored_sweep, new_store
from tests.tracking.sweeps import manifest, train, write_sweep
from wsnet.report import read_directory
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.storage.seeds import Summary, summarize, value_of
from wsnet.tracking import default_tracking_uri
from wsnet.tracking.client import connect, fail_fast
from wsnet.tracking.upload import SweepRuns
from wsnet.tracking.views import view_state

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = pytest.mark.slow  # MLflow takes seconds to import and to set up its database.

METRICS = ("test/top1_error", "validation/top1_error")


def opened(folder: Folder) -> "MlflowClient":
    with fail_fast():
        return connect(default_tracking_uri(folder))


def runs_of(folder: Folder, sweep: Manifest, kind: str, by: str) -> "dict[str, Run]":
    """A kind's runs by one of their tags, of which no two have the same."""
    client = opened(folder)
    experiment = client.get_experiment_by_name(sweep.name)
    found = client.search_runs([experiment.experiment_id], f"tags.`wsnet.kind` = '{kind}'", max_results=5000)
    assert max(Counter(run.data.tags[by] for run in found).values(), default=1) == 1
    return {run.data.tags[by]: run for run in found}


def settings(folder: Folder, sweep: Manifest) -> "dict[str, Run]":
    return runs_of(folder, sweep, "setting", "wsnet.setting_id")


def trials(folder: Folder, sweep: Manifest) -> "dict[str, Run]":
    return runs_of(folder, sweep, "trial", "wsnet.trial_id")


def reported(folder: Folder, setting_id: str, metric: str) -> Summary | None:
    """A setting's summary as the report's tables have it."""
    there = [trial for trial in read_directory(folder).trials if trial.setting_id == setting_id]
    values = [value_of(trial.status, trial.metrics.get(metric), metric) for trial in there]
    return summarize([value for value in values if value is not None])


def assert_as_reported(folder: Folder, sweep: Manifest) -> None:
    """Every setting that has begun has its run, with the report's numbers, and its trials are below it."""
    runs, below = settings(folder, sweep), trials(folder, sweep)
    parents = {run.data.tags["wsnet.setting_id"]: run.data.tags["mlflow.parentRunId"] for run in below.values()}
    for setting_id in {run.data.tags["wsnet.setting_id"] for run in below.values()}:
        run = runs[setting_id]
        assert parents[setting_id] == run.info.run_id
        for metric in METRICS:
            summary, name = reported(folder, setting_id, metric), metric.replace("/", "_")
            if summary is None:
                assert f"median/{name}" not in run.data.metrics
                assert run.data.metrics.get(f"n/{name}", 0) == 0
                continue
            shown = {"median": "median/{}", "low": "low/{}", "high": "high/{}", "n": "n/{}"}
            for attribute, form in shown.items():
                expected, found = getattr(summary, attribute), run.data.metrics[form.format(name)]
                same = math.isnan(found) if math.isinf(expected) else found == pytest.approx(expected, rel=1e-4)
                assert same, (run.info.run_name, attribute)


def curve(folder: Folder, run: "Run", metric: str = "validation_top1_error") -> list[tuple[int, float]]:
    history = opened(folder).get_metric_history(run.info.run_id, f"curve/{metric}")
    return [(point.step, point.value) for point in history]


def named(folder: Folder, sweep: Manifest, name: str) -> "Run":
    return next(run for run in settings(folder, sweep).values() if run.info.run_name == name)


def test_a_setting_has_the_reports_numbers_however_its_trials_ended() -> None:
    folder, sweep = mirrored_sweep()
    assert_as_reported(folder, sweep)
    names = {run.info.run_name for run in settings(folder, sweep).values()}
    assert names == {f"{norm}-b{batch}" for norm in ("bn", "gn", "on") for batch in (32, 2, 4)} - {"on-b32"}


def test_a_setting_shows_what_varies_and_nothing_else() -> None:
    folder, sweep = mirrored_sweep()
    run = named(folder, sweep, "gn-b2")
    assert run.data.params == {
        "model.norm.name": "group",
        "model.norm.groups": "16",
        "train.batch_size": "2",
        "optim.lr": "0.001",
    }
    assert {key: run.data.tags[key] for key in ("setting", "wsnet.in_sweep", "wsnet.order")} == {
        "setting": "gn-b2",
        "wsnet.in_sweep": "true",
        "wsnet.order": "000004",
    }


def test_a_settings_status_follows_from_its_trials() -> None:
    folder, sweep = mirrored_sweep()
    statuses = {run.info.run_name: run.info.status for run in settings(folder, sweep).values()}
    assert statuses["bn-b32"] == statuses["bn-b4"] == "FINISHED"
    assert (statuses["gn-b2"], statuses["gn-b4"], statuses["gn-b32"]) == ("KILLED", "FAILED", "RUNNING")


def test_the_curve_is_there_once_all_trials_have_ended(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    run = named(folder, sweep, "bn-b32")
    records = [trial_directory(folder, e.trial_id).records() for e in sweep.trials if e.name.startswith("bn-b32-")]
    expected = [(epoch, sorted(r[epoch - 1]["validation/top1_error"] for r in records)[1]) for epoch in (1, 2, 3)]
    assert curve(folder, run) == expected
    assert [step for step, _ in curve(folder, run, "test_top1_error")] == [1, 3]
    open_setting = named(folder, sweep, "gn-b32")
    assert curve(folder, open_setting) == []
    for entry in sweep.trials:
        if entry.name.startswith("gn-b32-"):
            train(folder, entry)
    mirror(folder, sweep)
    done = named(folder, sweep, "gn-b32")
    assert done.info.run_id == open_setting.info.run_id and done.info.status == "FINISHED"
    assert [step for step, _ in curve(folder, done)] == [1, 2, 3]
    assert_as_reported(folder, sweep)


def test_seeds_that_are_added_later_are_in_the_numbers_and_the_curve_has_no_old_points(tmp_path: Path) -> None:
    few, more = manifest(seeds=2, batch_sizes=[2]), manifest(seeds=5, batch_sizes=[2])
    folder, _ = Folder(tmp_path), few.write(Folder(tmp_path))
    for entry in few.trials:
        train(folder, entry)
    mirror(folder, few)
    more.write(folder)
    for entry in more.trials:
        train(folder, entry)
    mirror(folder, more)
    assert_as_reported(folder, more)
    for run in settings(folder, more).values():
        assert run.data.metrics["n/test_top1_error"] == 5
        assert [step for step, _ in curve(folder, run)] == [1, 2, 3]


def test_a_setting_that_leaves_the_sweep_is_marked_and_comes_back(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    before = settings(folder, sweep)
    fewer = replace(sweep, trials=sweep.trials[3:])
    mirror(folder, fewer)
    gone = [run for run in settings(folder, sweep).values() if run.data.tags["wsnet.in_sweep"] == "false"]
    assert [run.info.run_name for run in gone] == ["bn-b32"]
    mirror(folder, sweep)
    after = settings(folder, sweep)
    assert {run.data.tags["wsnet.in_sweep"] for run in after.values()} == {"true"}
    assert {key: run.info.run_id for key, run in after.items()} == {key: run.info.run_id for key, run in before.items()}


def test_a_database_of_an_earlier_version_gets_the_runs_of_settings(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    client = opened(folder)
    for run in settings(folder, sweep).values():
        client.delete_run(run.info.run_id)
    for run in trials(folder, sweep).values():
        client.delete_tag(run.info.run_id, "mlflow.parentRunId")
    mirror(folder, sweep)
    assert_as_reported(folder, sweep)


def test_a_repeated_upload_changes_nothing(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    before = {key: str(run.to_dictionary()) for key, run in settings(folder, sweep).items()}
    mirror(folder, sweep)
    assert {key: str(run.to_dictionary()) for key, run in settings(folder, sweep).items()} == before


class Counted:
    """A client that counts its calls, and fails from one of them on."""

    def __init__(self, client: "MlflowClient", fails_at: float = math.inf) -> None:
        self.client, self.fails_at, self.calls = client, fails_at, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.calls.total() >= self.fails_at:
                raise ConnectionError(name)
            self.calls[name] += 1
            return getattr(self.client, name)(*arguments, **options)

        return call


def upload(folder: Folder, sweep: Manifest, client: Any) -> None:
    """Upload all of a sweep in this thread."""
    runs = SweepRuns(client, folder, sweep, uri=default_tracking_uri(folder), revision=None)
    for entry in sweep.trials:
        runs.upload(entry.trial_id)
        runs.upload_setting(entry.setting_id)


def test_an_upload_that_breaks_off_anywhere_is_completed_by_the_next(tmp_path: Path) -> None:
    sweep = replace(manifest(seeds=2), trials=manifest(seeds=2).trials[:2])
    folder, _ = Folder(tmp_path), sweep.write(Folder(tmp_path))
    for entry in sweep.trials:
        train(folder, entry)
    new_store(folder)
    fails_at = 1
    while True:  # Each upload goes one call further than the one before, from where that has left MLflow.
        with fail_fast():
            client = Counted(opened(folder), fails_at)
            try:
                upload(folder, sweep, client)
            except ConnectionError:
                fails_at += 1
                continue
        break
    assert fails_at > 8
    assert_as_reported(folder, sweep)
    (run,) = settings(folder, sweep).values()
    assert [step for step, _ in curve(folder, run)] == [1, 2, 3]


def test_a_trial_takes_a_few_calls_and_one_that_is_there_takes_none(tmp_path: Path) -> None:
    sweep = manifest(seeds=5, batch_sizes=[2])
    folder, _ = Folder(tmp_path), sweep.write(Folder(tmp_path))
    for entry in sweep.trials:
        train(folder, entry)
    new_store(folder)
    with fail_fast():
        first, second = Counted(opened(folder)), Counted(opened(folder))
        upload(folder, sweep, first)
        upload(folder, sweep, second)
    assert first.calls.total() <= 10 * len(sweep.trials), first.calls
    assert second.calls.total() <= 4, second.calls


def test_views_sort_by_validation_once_a_trial_has_measured_it(tmp_path: Path) -> None:
    sweep = manifest(seeds=1, batch_sizes=[2])
    folder, _ = Folder(tmp_path), sweep.write(Folder(tmp_path))
    new_store(folder)

    def view() -> str:
        return str(opened(folder).get_experiment_by_name(sweep.name).tags["mlflow.sharedViewState.wsnet"])

    with fail_fast():
        runs = SweepRuns(opened(folder), folder, sweep, uri=default_tracking_uri(folder), revision=None)
        before = view()
        train(folder, sweep.trials[0])
        runs.upload(sweep.trials[0].trial_id)
    assert view_state(before)["orderByKey"] == "tags.`wsnet.order`"
    assert view_state(view())["orderByKey"] == "metrics.`median/validation_top1_error`"


def test_a_damaged_trial_is_counted_once_it_is_repaired(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path, manifest(seeds=3, batch_sizes=[32]))
    entry = sweep.trials[0]
    mirror(folder, sweep)
    more = manifest(seeds=4, batch_sizes=[32])
    more.write(folder)
    for other in more.trials:
        train(folder, other)
    records = trial_directory(folder, entry.trial_id).records()
    trial_directory(folder, entry.trial_id).folder.write("records.jsonl", b"not json\n")
    mirror(folder, more)
    assert named(folder, more, "bn-b32").data.metrics["n/test_top1_error"] == 3
    trial_directory(folder, entry.trial_id).write_records(records)
    mirror(folder, more)
    assert named(folder, more, "bn-b32").data.metrics["n/test_top1_error"] == 4
    assert_as_reported(folder, more)
