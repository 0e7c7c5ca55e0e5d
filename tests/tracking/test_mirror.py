"""The mirror against a real SQLite database."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tracking.stores import mirror, mirrored_copy, mirrored_sweep, new_store
from tests.tracking.stores import mlflow_mirror as Mirror
from tests.tracking.sweeps import manifest, train, write_sweep
from wsnet.storage import Folder, Manifest, StorageError, trial_directory
from wsnet.tracking import default_tracking_uri
from wsnet.tracking.client import connect, fail_fast, reason, sqlite_file
from wsnet.tracking.upload import SweepRuns
from wsnet.tracking.views import view_state

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = pytest.mark.slow  # MLflow takes seconds to import and to set up its database.


def mirrored(folder: Folder, sweep: Manifest, revision: str | None = "abc") -> "tuple[MlflowClient, dict[str, Run]]":
    """Mirror until done; the runs by trial."""
    uri = mirror(folder, sweep, revision)
    with fail_fast():
        client = connect(uri)
        runs = of_kind(client, sweep, "trial")
    assert Counter(run.data.tags["wsnet.trial_id"] for run in runs).most_common(1)[0][1] == 1
    return client, {run.data.tags["wsnet.trial_id"]: run for run in runs}


def of_kind(client: "MlflowClient", sweep: Manifest, kind: str) -> "list[Run]":
    """The runs of trials, of settings or of the report."""
    experiment = client.get_experiment_by_name(sweep.name)
    return list(client.search_runs([experiment.experiment_id], f"tags.`wsnet.kind` = '{kind}'", max_results=1000))


def test_a_run_holds_the_configuration_the_epochs_and_where_it_belongs() -> None:
    folder, sweep = mirrored_sweep()
    client, runs = mirrored(folder, sweep)
    entry = sweep.trials[-1]
    run = runs[entry.trial_id]
    assert run.info.run_name == entry.name == "on-b4-s2"
    assert run.info.status == "FINISHED"
    assert run.data.params["model.norm.name"] == "on"
    assert run.data.params["optim.lr"] == "0.001"
    assert run.data.params["optim.milestones"] == "[30, 60]"
    assert run.data.params["data.augment.flip"] == "true"
    assert "model.weight" not in run.data.params, "it is null"
    assert [*run.data.params][:4] == ["model.norm.name", "optim.milestones", "train.batch_size", "optim.lr"]
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"trial.yaml", "records.jsonl"}
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    assert tags.pop("wsnet.axes") == json.dumps(entry.axes)
    assert tags == {
        "wsnet.facts": '{"epochs": 3}',
        "wsnet.kind": "trial",
        "wsnet.trial_id": entry.trial_id,
        "wsnet.setting_id": entry.setting_id,
        "wsnet.seed": "2",
        "wsnet.sweep": "batches",
        "wsnet.revision": "abc",
        "wsnet.status": "finished",
        "wsnet.order": str(len(sweep.trials) - 1),
        "wsnet.in_sweep": "true",
        "setting": "on-b4",
    }
    records = trial_directory(folder, entry.trial_id).records()
    for key in ("train/loss", "test/top1_error", "time/epoch_seconds"):
        history = client.get_metric_history(run.info.run_id, key)
        assert [(point.step, point.value) for point in history] == [(r["epoch"], r[key]) for r in records if key in r]
    assert run.data.metrics["final/test_top1_error"] == pytest.approx(records[-1]["test/top1_error"], rel=1e-4)
    text = trial_directory(folder, entry.trial_id).folder.read("trial.yaml")
    assert Path(client.download_artifacts(run.info.run_id, "trial.yaml")).read_bytes() == text
    assert folder.local is not None
    assert run.info.artifact_uri.startswith(str(folder.local / "mlflow-artifacts"))


def test_the_experiment_says_what_is_asked() -> None:
    folder, sweep = mirrored_sweep()
    client, _ = mirrored(folder, sweep)
    tags = client.get_experiment_by_name(sweep.name).tags
    assert tags["wsnet.question"] == tags["mlflow.note.content"] == sweep.question
    assert json.loads(tags["wsnet.report"]) == sweep.report
    assert json.loads(tags["wsnet.axes"]) == sweep.axes


def test_every_way_to_end_is_told_apart() -> None:
    folder, sweep = mirrored_sweep()
    _, runs = mirrored(folder, sweep)
    seen = {(run.data.tags["wsnet.status"], run.info.status) for run in runs.values()}
    assert seen == {
        ("finished", "FINISHED"),
        ("diverged", "FAILED"),
        ("failed", "FAILED"),
        ("stopped", "KILLED"),
        ("running", "RUNNING"),
    }
    not_started = {entry.trial_id for entry in sweep.trials if entry.name.startswith("on-b32")}
    assert not_started.isdisjoint(runs)


def test_a_second_mirror_fills_in_what_is_missing_and_makes_no_doubles(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    _, before = mirrored(folder, sweep)
    for entry in sweep.trials:  # What was unfinished is trained to its end.
        status = trial_directory(folder, entry.trial_id).status()
        if status is None or not status.is_final:
            train(folder, entry)
    client, after = mirrored(folder, sweep, revision="def")
    assert set(after) == {entry.trial_id for entry in sweep.trials}
    assert all(run.info.run_id == after[trial_id].info.run_id for trial_id, run in before.items())
    assert {run.data.tags["wsnet.revision"] for run in before.values()} == {"abc"}
    for trial_id, run in after.items():
        records = trial_directory(folder, trial_id).records()
        history = client.get_metric_history(run.info.run_id, "train/loss")
        assert [point.step for point in history] == [record["epoch"] for record in records]
        assert run.info.status != "RUNNING"


def test_a_run_that_was_cut_off_in_the_middle_is_completed(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    client, runs = mirrored(folder, sweep)
    run = runs[sweep.trials[0].trial_id]
    # As after a kill between the metrics and the tags: all is there but the tag that stands for it.
    client.delete_tag(run.info.run_id, "wsnet.status")
    client.update_run(run.info.run_id, status="RUNNING")
    client, runs = mirrored(folder, sweep)
    again = runs[sweep.trials[0].trial_id]
    assert (again.data.tags["wsnet.status"], again.info.status) == ("finished", "FINISHED")
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 3


def test_doubles_that_a_lost_answer_left_are_removed_and_the_fuller_one_stays(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    client, runs = mirrored(folder, sweep)
    run = runs[sweep.trials[0].trial_id]
    tags = {key: run.data.tags[key] for key in ("wsnet.kind", "wsnet.trial_id")}
    client.create_run(run.info.experiment_id, tags=tags)
    _, runs = mirrored(folder, sweep)
    assert runs[sweep.trials[0].trial_id].info.run_id == run.info.run_id


def test_trials_that_left_the_sweep_are_marked_and_come_back(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    fewer = Manifest(**{**vars(sweep), "trials": sweep.trials[3:]})
    _, runs = mirrored(folder, fewer)
    gone = {trial_id for trial_id, run in runs.items() if run.data.tags["wsnet.in_sweep"] == "false"}
    assert gone == {entry.trial_id for entry in sweep.trials[:3]}
    assert runs[sweep.trials[3].trial_id].data.tags["wsnet.order"] == "0"
    _, runs = mirrored(folder, sweep)
    assert {run.data.tags["wsnet.in_sweep"] for run in runs.values()} == {"true"}


def test_changes_come_up_while_the_sweep_runs(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path), manifest(seeds=1)
    entry = sweep.trials[0]
    thread = Mirror(folder, sweep, uri=new_store(folder), revision=None)
    for epochs in (1, 2, 3):
        train(folder, entry, "running", epochs)
        thread.changed(entry.trial_id)
    train(folder, entry)
    thread.changed(entry.trial_id)
    assert thread.close(240) == []
    assert thread.trouble is None
    client, runs = mirrored(folder, sweep)
    history = client.get_metric_history(runs[entry.trial_id].info.run_id, "train/loss")
    assert [point.step for point in history] == [1, 2, 3]


def test_closing_waits_as_long_as_uploads_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sweep = write_sweep(tmp_path)
    started, pause = (folder / "trials").names(), 0.4
    upload = SweepRuns.upload

    def slowly(runs: SweepRuns, trial_id: str) -> None:
        time.sleep(pause)
        upload(runs, trial_id)

    monkeypatch.setattr(SweepRuns, "upload", slowly)
    uri = new_store(folder)
    first = Mirror(folder, sweep, uri=uri, revision=None)
    assert first.close(2.0), "it gives up"
    assert len(started) * pause - 2.0 > 6.0, "so that closing takes longer than its timeout"
    assert Mirror(folder, sweep, uri=uri, revision=None).close(6.0, while_progress=True) == []


def test_a_trial_that_can_not_be_read_keeps_no_other_from_mlflow(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path, manifest(seeds=1))
    broken = sweep.trials[4].trial_id
    trial_directory(folder, broken).folder.write("records.jsonl", b"not json\n")
    thread = Mirror(folder, sweep, uri=new_store(folder), revision=None)
    assert thread.close(240) == [broken]
    assert thread.trouble is not None
    assert thread.trouble.endswith("1 trial waits")


def test_many_epochs_go_up_in_calls_of_allowed_size(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path), manifest(seeds=1)
    train(folder, sweep.trials[0], epochs=400)
    client, runs = mirrored(folder, sweep)
    run = runs[sweep.trials[0].trial_id]
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 400


def test_importing_tracking_does_not_import_mlflow() -> None:
    code = "import sys, wsnet.tracking; assert not {'mlflow', 'ray', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_mirror_is_quiet_and_leaves_the_environment_as_it_was(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from tests.tracking.sweeps import manifest, write_sweep
from tests.tracking.stores import mlflow_mirror as Mirror
from wsnet.tracking import default_tracking_uri
folder, sweep = write_sweep(Path({str(tmp_path)!r}), manifest(seeds=1))
assert Mirror(folder, sweep, uri=default_tracking_uri(folder), revision=None).close(240) == []
assert {{k: v for k, v in os.environ.items() if k.startswith("MLFLOW_HTTP")}} == {{}}, os.environ
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_remote_sweep_needs_a_tracking_uri_of_its_own() -> None:
    from pyarrow import fs

    remote = Folder("bucket/sweep", filesystem=fs.SubTreeFileSystem("/", fs.LocalFileSystem()))
    with pytest.raises(StorageError, match="tracking needs its own URI"):
        default_tracking_uri(remote)


def test_a_password_in_the_uri_is_never_shown() -> None:
    uri = "http://me:secret@host:5000"
    assert "secret" not in reason(uri, ConnectionError("x")) + reason(uri, ValueError(f"bad {uri}"))


def test_the_run_table_opens_with_the_settings_by_their_median_on_validation() -> None:
    folder, sweep = mirrored_sweep()
    client, _ = mirrored(folder, sweep)
    settings = of_kind(client, sweep, "setting")
    experiment = client.get_experiment_by_name(sweep.name)
    thread = Mirror(folder, sweep, uri=default_tracking_uri(folder), revision=None)
    assert thread.close(240) == []
    (title, page), *_ = thread.tracker.pages
    assert title == "settings by median"
    assert page.endswith("/runs?workflowType=machine_learning&viewStateShareKey=wsnet")
    state = view_state(experiment.tags["mlflow.sharedViewState.wsnet"])
    there = {f"params.`{key}`" for run in settings for key in run.data.params}
    there |= {f"metrics.`{key}`" for run in settings for key in run.data.metrics}
    first = ["metrics.`median/validation_top1_error`", "metrics.`median/test_top1_error`"]
    assert state["selectedColumns"][:2] == first and state["orderByKey"] == first[0]
    assert set(state["selectedColumns"]) <= there
    found = client.search_runs([experiment.experiment_id], state["searchFilter"], max_results=1000)
    assert {run.info.run_id for run in found} == {run.info.run_id for run in settings}


def test_a_mirror_that_waits_leaves_the_start_of_a_sweep_alone(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    uri = default_tracking_uri(folder)
    waiting = Mirror(folder, sweep, uri=uri, revision=None, waits=True)
    time.sleep(1)
    assert sqlite_file(uri) is not None and not Path(str(sqlite_file(uri))).exists()
    waiting.begin()
    end = time.monotonic() + 200
    while waiting.waiting and time.monotonic() < end:
        time.sleep(0.2)
    assert waiting.close(60) == [] and waiting.tracker.pages
