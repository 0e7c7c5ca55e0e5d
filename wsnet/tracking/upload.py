"""One sweep's experiment in MLflow: what its runs already hold, and uploading what they lack."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wsnet.storage import Folder, Manifest, Status, TrialEntry, trial_directory
from wsnet.storage.trial_directory import LAYERS, STOPPED_BY_USER, TIME, Record
from wsnet.tracking import tags
from wsnet.tracking.client import artifact_location
from wsnet.tracking.read import runs_by_trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["SweepRuns"]

_RUN_STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
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
        self._mirrored = {trial_id: _mirrored(run) for trial_id, run in runs.items()}
        for trial_id, mirrored in self._mirrored.items():
            self._update_place(trial_id, mirrored)

    @property
    def page(self) -> str:
        """The page of the runs, to be appended to the UI's address."""
        return tags.runs_page(self._id)

    def check(self) -> None:
        """Raise if the server does not answer."""
        self._client.get_experiment(self._id)

    def upload(self, trial_id: str) -> None:
        """Upload what MLflow does not yet have of a trial."""
        mirrored = self._mirrored.get(trial_id)
        if mirrored is not None and mirrored.complete:
            return
        order, entry = self._entries[trial_id]
        directory = trial_directory(self._sweep, trial_id)
        status = directory.status()  # Before the records, so that a final status never comes with only part of them.
        if status is None:
            return
        records = directory.records()
        if mirrored is None:
            mirrored = self._mirrored[trial_id] = self._create_run(order, entry, records)
        if tags.STATUS not in mirrored.tags:
            self._log_config(mirrored, directory.folder)
        self._log_epochs(mirrored, records)
        if status.is_final and records:
            self._log_finals(mirrored, records[-1])
        self._set_tags(mirrored, {tags.STATUS: status.status, tags.MESSAGE: status.message})
        self._set_status(mirrored, status, records)

    def _find_or_create_experiment(self, uri: str) -> str:
        name, wanted = self._manifest.name, tags.experiment_tags(self._manifest)
        wanted["mlflow.note.content"] = self._manifest.question  # The UI shows it as a banner.
        wanted |= tags.view_tag(self._manifest)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return str(self._client.create_experiment(name, artifact_location=artifact_location(uri), tags=wanted))
        if experiment.lifecycle_stage == "deleted":  # No new experiment can take its name.
            self._client.restore_experiment(experiment.experiment_id)
        for key, value in wanted.items():
            if experiment.tags.get(key) != value:
                self._client.set_experiment_tag(experiment.experiment_id, key, value)
        return str(experiment.experiment_id)

    def _update_place(self, trial_id: str, mirrored: "_MirroredRun") -> None:
        """Tag an existing run with its current place in the sweep, or as no longer part of it."""
        if trial_id not in self._entries:
            self._set_tags(mirrored, {tags.IN_SWEEP: "false"})
            return
        order, entry = self._entries[trial_id]
        self._set_tags(mirrored, tags.trial_tags(self._manifest, entry, order))
        if mirrored.name != entry.name:
            self._client.update_run(mirrored.run_id, name=entry.name)
            mirrored.name = entry.name

    def _create_run(self, order: int, entry: TrialEntry, records: list[Record]) -> "_MirroredRun":
        wanted = {key: value for key, value in tags.trial_tags(self._manifest, entry, order).items() if value}
        if self._revision is not None:
            wanted[tags.REVISION] = self._revision
        start = int(1000 * (time.time() - sum(map(_seconds, records))))
        return _mirrored(self._client.create_run(self._id, start_time=start, tags=wanted, run_name=entry.name))

    def _log_config(self, mirrored: "_MirroredRun", folder: Folder) -> None:
        """Log the resolved configuration, as parameters and as a file."""
        from mlflow.entities import Param

        text = (folder.read("trial.yaml") or b"").decode()
        missing = [Param(key, value) for key, value in tags.parameters(text).items() if key not in mirrored.params]
        for start in range(0, len(missing), _PARAMS_PER_CALL):
            chunk = missing[start : start + _PARAMS_PER_CALL]
            self._client.log_batch(mirrored.run_id, params=chunk)
            mirrored.params.update(param.key for param in chunk)
        if text:
            self._client.log_text(mirrored.run_id, text, "trial.yaml")

    def _log_epochs(self, mirrored: "_MirroredRun", records: list[Record]) -> None:
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

    def _log(self, mirrored: "_MirroredRun", batch: list[Any]) -> None:
        self._client.log_batch(mirrored.run_id, metrics=batch)
        mirrored.epoch = max(metric.step for metric in batch)

    def _log_finals(self, mirrored: "_MirroredRun", record: Record) -> None:
        from mlflow.entities import Metric

        finals = {tags.final(key): value for key, value in record.items() if _is_result(key)}
        missing = [
            # Rounded, since the UI prints up to 17 digits; the full value is logged at its epoch.
            Metric(key, float(f"{value:.5g}"), mirrored.start, 0)
            for key, value in finals.items()
            if key not in mirrored.finals
        ]
        if missing:
            self._client.log_batch(mirrored.run_id, metrics=missing)
            mirrored.finals.update(finals)

    def _set_tags(self, mirrored: "_MirroredRun", wanted: dict[str, str]) -> None:
        from mlflow.entities import RunTag

        changed = {key: value for key, value in wanted.items() if mirrored.tags.get(key, "") != value}
        if changed:
            self._client.log_batch(mirrored.run_id, tags=[RunTag(key, value) for key, value in changed.items()])
            mirrored.tags.update(changed)

    def _set_status(self, mirrored: "_MirroredRun", status: Status, records: list[Record]) -> None:
        wanted = _RUN_STATUS[status.status]
        if mirrored.status == wanted:
            return
        if wanted == "RUNNING":
            self._client.update_run(mirrored.run_id, status=wanted)
        else:
            end = mirrored.start + int(1000 * sum(map(_seconds, records)))
            self._client.set_terminated(mirrored.run_id, status=wanted, end_time=end)
        mirrored.status = wanted


@dataclass
class _MirroredRun:
    """What MLflow holds of one trial."""

    run_id: str
    name: str
    start: int
    status: str
    epoch: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    finals: set[str] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether nothing about the trial can change any more; the status tag is written after everything else."""
        status, message = self.tags.get(tags.STATUS), self.tags.get(tags.MESSAGE)
        is_final = status in ("finished", "diverged") or (status == "stopped" and message != STOPPED_BY_USER)
        return is_final and self.status == _RUN_STATUS[str(status)]


def _mirrored(run: "Run") -> _MirroredRun:
    data = run.data
    return _MirroredRun(
        run_id=run.info.run_id,
        name=run.info.run_name,
        start=run.info.start_time,
        status=run.info.status,
        epoch=int(data.metrics.get(tags.EPOCH, 0)),
        tags=dict(data.tags),
        params=set(data.params),
        finals={key for key in data.metrics if key.startswith(tags.FINAL)},
    )


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
