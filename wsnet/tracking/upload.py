"""One sweep's experiment in MLflow: what its runs already hold, and uploading what they lack."""

import math
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.storage import Folder, Manifest, Status, TrialEntry, trial_directory
from wsnet.storage.trial_directory import LAYERS, TIME, Record
from wsnet.tracking import tags
from wsnet.tracking.client import artifact_location
from wsnet.tracking.mirrored_run import RUN_STATUS, MirroredRun
from wsnet.tracking.read import runs_by_trial
from wsnet.tracking.setting_metrics import shown_metrics
from wsnet.tracking.setting_runs import SettingRuns
from wsnet.tracking.views import pages, view_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["SweepRuns"]

_FILES = ("records.jsonl", "log.txt", "error.txt")
"""A trial's files that are logged when it has ended."""

_MOST_BYTES = 5_000_000
"""Of each of them the last so many are logged."""

_METRICS_PER_CALL, _PARAMS_PER_CALL = 1000, 100  # MLflow's own limits.


class SweepRuns:
    """The runs of one sweep's experiment.

    Creates the experiment (and the database) if absent, and finds the existing runs with one search.

    Args:
        client: client of a server that answers.
        sweep: the sweep's folder.
        manifest: the sweep's trials.
        uri: the client's tracking URI.
        revision: source revision that new runs are tagged with.
    """

    def __init__(
        self, client: "MlflowClient", sweep: Folder, manifest: Manifest, *, uri: str, revision: str | None
    ) -> None:
        self._client, self._sweep, self._manifest, self._revision = client, sweep, manifest, revision
        self._entries = {entry.trial_id: (order, entry) for order, entry in enumerate(manifest.trials)}
        self._id = self._find_or_create_experiment(uri)
        runs, duplicates = runs_by_trial(client, self._id)
        for duplicate in duplicates:  # From a call that was repeated because its response was lost.
            client.delete_run(duplicate.info.run_id)
        self._mirrored = {trial_id: MirroredRun.of(run) for trial_id, run in runs.items()}
        for trial_id, mirrored in self._mirrored.items():
            self._update_place(trial_id, mirrored)
        self._settings = SettingRuns(client, self._id, sweep, manifest, self._mirrored)
        self._has_validation = any(self._measured_validation(run) for run in self._mirrored.values())
        self._set_views()

    @property
    def pages(self) -> list[tuple[str, str]]:
        """Title and page of each view of the runs, to be appended to the UI's address."""
        return pages(self._id)

    def check(self) -> None:
        """Raise if the server does not answer."""
        self._client.get_experiment(self._id)

    def upload(self, trial_id: str) -> None:
        """Upload what MLflow does not yet have of a trial."""
        mirrored = self._mirrored.get(trial_id)
        order, entry = self._entries[trial_id]
        if mirrored is not None and mirrored.complete:  # Perhaps by an earlier version, which had no runs of settings.
            mirrored.set_tags(self._client, {tags.PARENT: self._settings.run_id(entry.setting_id)})
            return
        directory = trial_directory(self._sweep, trial_id)
        status = directory.status()  # Before the records, so that a final status never comes with only part of them.
        if status is None:
            return
        records = directory.records()
        if mirrored is None:
            mirrored = self._mirrored[trial_id] = self._create_run(order, entry, records)
        if tags.STATUS not in mirrored.tags:
            self._log_config(mirrored, entry, directory.folder)
        self._log_epochs(mirrored, records)
        if status.has_ended or status.status == "failed":
            self._log_files(mirrored, directory.folder)
        parent = self._settings.run_id(entry.setting_id)
        compiled = "true" if directory.is_compiled() else ""
        about = {tags.MESSAGE: status.message, tags.PARENT: parent, tags.COMPILED: compiled}
        ends = {tags.STATUS: status.status, **about}
        self._log_finals(mirrored, records[-1] if status.is_final and records else {}, ends)
        self._set_status(mirrored, status, records)
        if not self._has_validation and self._measured_validation(mirrored):
            self._has_validation = True
            self._set_views()

    def upload_setting(self, setting_id: str) -> None:
        """Bring the run of a setting up to date with those of its trials, after these have been uploaded."""
        self._settings.update(setting_id)

    def _find_or_create_experiment(self, uri: str) -> str:
        name, wanted = self._manifest.name, tags.experiment_tags(self._manifest)
        wanted[tags.NOTE] = self._manifest.question  # The UI shows it as a banner.
        experiment = self._client.get_experiment_by_name(name)
        self._tags: dict[str, str] = {}
        if experiment is None:
            return str(self._client.create_experiment(name, artifact_location=artifact_location(uri), tags=wanted))
        if experiment.lifecycle_stage == "deleted":  # No new experiment can take its name.
            self._client.restore_experiment(experiment.experiment_id)
        self._tags = dict(experiment.tags)
        self._set_experiment_tags(str(experiment.experiment_id), wanted)
        return str(experiment.experiment_id)

    def _set_experiment_tags(self, experiment_id: str, wanted: dict[str, str]) -> None:
        for key, value in wanted.items():
            if self._tags.get(key) != value:
                self._client.set_experiment_tag(experiment_id, key, value)
                self._tags[key] = value

    def _set_views(self) -> None:
        """Write the views, of which the first sorts by validation as soon as it is known that there is such a split."""
        self._set_experiment_tags(self._id, view_tags(self._manifest, has_validation=self._has_validation))

    def _measured_validation(self, mirrored: MirroredRun) -> bool:
        """Whether a trial of the sweep has measured the metric that settings are selected by."""
        metric, _ = shown_metrics(self._manifest.report)
        is_in = mirrored.tags.get(tags.IN_SWEEP) == "true"
        measured = None if metric is None else tags.final(metric.replace("accuracy", "error"))
        return is_in and measured in mirrored.finals

    def _update_place(self, trial_id: str, mirrored: MirroredRun) -> None:
        """Tag an existing run with its current place in the sweep, or as no longer part of it."""
        if trial_id not in self._entries:
            mirrored.set_tags(self._client, {tags.IN_SWEEP: "false"})
            return
        order, entry = self._entries[trial_id]
        mirrored.set_tags(self._client, tags.trial_tags(self._manifest, entry, order))
        mirrored.set_name(self._client, entry.name)

    def _create_run(self, order: int, entry: TrialEntry, records: list[Record]) -> MirroredRun:
        wanted = {key: value for key, value in tags.trial_tags(self._manifest, entry, order).items() if value}
        if self._revision is not None:
            wanted[tags.REVISION] = self._revision
        wanted[tags.PARENT] = self._settings.run_id(entry.setting_id)
        start = int(1000 * (time.time() - sum(map(_seconds, records))))
        return MirroredRun.of(self._client.create_run(self._id, start_time=start, tags=wanted, run_name=entry.name))

    def _log_config(self, mirrored: MirroredRun, entry: TrialEntry, folder: Folder) -> None:
        """Log the resolved configuration, as parameters, first those that vary in the sweep, and as a file."""
        from mlflow.entities import Param

        text = (folder.read("trial.yaml") or b"").decode()
        found = tags.parameters(text)
        ordered = dict.fromkeys([*(key for key in (*tags.varied(entry), "seed") if key in found), *found])
        missing = [Param(key, found[key]) for key in ordered if key not in mirrored.params]
        for start in range(0, len(missing), _PARAMS_PER_CALL):
            chunk = missing[start : start + _PARAMS_PER_CALL]
            self._client.log_batch(mirrored.run_id, params=chunk)
            mirrored.params.update(param.key for param in chunk)
        if text:
            self._client.log_text(mirrored.run_id, text, "trial.yaml")

    def _log_epochs(self, mirrored: MirroredRun, records: list[Record]) -> None:
        """Log every epoch after the last one in MLflow; each call holds whole epochs only."""
        from mlflow.entities import Metric

        batch: list[Metric] = []
        for stamp, record in _stamped(mirrored.start, records):
            epoch = int(record["epoch"])
            if epoch <= mirrored.epoch:
                continue
            # MLflow drops a metric that it already has with the same timestamp. Timestamps depend on the records alone,
            # so that a repeated call adds nothing. Layers stay in the directory: hundreds of charts would hide the
            # others and slow down the uploads.
            shown = {key: value for key, value in record.items() if not key.startswith(LAYERS)}
            metrics = [Metric(key, float(value), stamp, epoch) for key, value in shown.items()]
            if len(batch) + len(metrics) > _METRICS_PER_CALL:
                self._log(mirrored, batch)
                batch = []
            batch += metrics
        if batch:
            self._log(mirrored, batch)

    def _log(self, mirrored: MirroredRun, batch: list[Any]) -> None:
        self._client.log_batch(mirrored.run_id, metrics=batch)
        mirrored.epoch = max(metric.step for metric in batch)

    def _log_files(self, mirrored: MirroredRun, folder: Folder) -> None:
        """Log the records and the trial's log as files, by one call."""
        with tempfile.TemporaryDirectory(prefix="wsnet-artifacts-") as place:
            for name in _FILES:
                if (data := folder.read(name)) is not None:
                    Path(place, name).write_bytes(data[-_MOST_BYTES:])
            if os.listdir(place):
                self._client.log_artifacts(mirrored.run_id, place)

    def _log_finals(self, mirrored: MirroredRun, record: Record, ends: dict[str, str]) -> None:
        """Log the last values, if any, and then the tags that say how the trial has ended: by one call."""
        from mlflow.entities import Metric, RunTag

        finals = {tags.final(key): value for key, value in record.items() if _is_result(key)}
        missing = [
            # Rounded, since the UI prints up to 17 digits; the full value is logged at its epoch.
            Metric(key, float(f"{value:.5g}"), mirrored.start, 0)
            for key, value in finals.items()
            if key not in mirrored.finals
        ]
        changed = mirrored.changed(ends)
        if missing or changed:
            new = [RunTag(key, value) for key, value in changed.items()]
            self._client.log_batch(mirrored.run_id, metrics=missing, tags=new)
            mirrored.finals.update(finals)
            mirrored.tags.update(changed)

    def _set_status(self, mirrored: MirroredRun, status: Status, records: list[Record]) -> None:
        wanted = RUN_STATUS[status.status]
        if mirrored.status == wanted:
            return
        if wanted == "RUNNING":
            self._client.update_run(mirrored.run_id, status=wanted)
        else:
            end = mirrored.start + int(1000 * sum(map(_seconds, records)))
            self._client.set_terminated(mirrored.run_id, status=wanted, end_time=end)
        mirrored.status = wanted


def _stamped(start: int, records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
    """Each record with its timestamp in milliseconds, computed from the run's start and the epochs' durations."""
    seconds = 0.0
    for record in records:
        seconds += _seconds(record)
        yield start + int(1000 * seconds), record


def _seconds(record: Record) -> float:
    value = record.get("time/epoch_seconds", 0.0)
    return value if math.isfinite(value) else 0.0


def _is_result(key: str) -> bool:
    return "/" in key and not key.startswith((TIME, LAYERS))
