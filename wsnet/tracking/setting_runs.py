"""A run for each setting, above those of its trials: the only way to see a median in MLflow's UI."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wsnet.storage import DamagedFile, Folder, Manifest, TrialEntry, trial_directory
from wsnet.tracking import tags
from wsnet.tracking.mirrored_run import MirroredRun
from wsnet.tracking.read import search_runs
from wsnet.tracking.setting_metrics import Seed, curves, shown_metrics, summaries

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["SettingRuns"]

_ENDED = ("finished", "diverged", "stopped", "failed")
_DAMAGED = "damaged"
_POINTS_PER_CALL = 900
"""Metrics in one call: MLflow takes 1,000 metrics, tags and parameters at once."""


class SettingRuns:
    """The runs of a sweep's settings. Finds the existing ones with one search.

    Args:
        client: client of a server that answers.
        experiment_id: the sweep's experiment.
        sweep: the sweep's folder.
        manifest: the sweep's trials.
        trials: what MLflow holds of the trials, by trial_id; kept up to date by the caller.
    """

    def __init__(
        self,
        client: "MlflowClient",
        experiment_id: str,
        sweep: Folder,
        manifest: Manifest,
        trials: Mapping[str, MirroredRun],
    ) -> None:
        self._client, self._id, self._sweep, self._trials = client, experiment_id, sweep, trials
        self._manifest = manifest
        self._metrics = [metric for metric in shown_metrics(manifest.report) if metric is not None]
        self._seeds: dict[str, list[TrialEntry]] = {}
        for entry in manifest.trials:
            self._seeds.setdefault(entry.setting_id, []).append(entry)
        self._order = {setting_id: order for order, setting_id in enumerate(self._seeds)}
        self._runs = self._find()

    def run_id(self, setting_id: str) -> str:
        """The setting's run, which is created if absent."""
        if setting_id not in self._runs:
            self._runs[setting_id] = self._create(setting_id)
        return self._runs[setting_id].run_id

    def update(self, setting_id: str) -> None:
        """Bring a setting's run up to date with those of its trials that have ended, as MLflow holds them.

        Reads the trials' records only if one has ended since the last time. The curve is logged when all have ended.
        MLflow cannot take back a point of it, so if a seed is added later, or a failed one trained again, a new run
        takes the place of this one.
        """
        self.run_id(setting_id)
        entries = self._seeds[setting_id]
        statuses = {entry.trial_id: self._ended(entry.trial_id) for entry in entries}
        ended = {trial_id: status for trial_id, status in statuses.items() if status is not None}
        key = hashlib.sha256(json.dumps([self._metrics, ended, len(entries)], sort_keys=True).encode()).hexdigest()[:16]
        run = self._runs[setting_id]
        if run.tags.get(tags.SUMMARY_OF) != key:
            if run.tags.get(tags.CURVE_OF, key) != key:
                run = self._replace(setting_id)
            seeds = [self._read(trial_id) for trial_id in ended]
            is_damaged = any(seed.status == _DAMAGED for seed in seeds)  # The next update, after the repair, counts.
            is_whole = len(ended) == len(entries) and not is_damaged
            self._log(run, entries[0], seeds, f"{key} damaged" if is_damaged else key, is_whole=is_whole)
        self._set_status(run, list(ended.values()), is_whole=len(ended) == len(entries))

    def _find(self) -> dict[str, MirroredRun]:
        """The existing runs of the sweep's settings; those of others are marked as no longer part of it."""
        found: dict[str, MirroredRun] = {}
        runs = [MirroredRun.of(run) for run in search_runs(self._client, self._id, tags.SETTING)]
        for run in sorted(runs, key=lambda run: (run.start, run.run_id), reverse=True):
            setting_id = run.tags[tags.SETTING_ID]
            if setting_id in found:  # Replaced by a newer one, or of a call that was repeated.
                self._client.delete_run(run.run_id)
            elif setting_id not in self._seeds:
                run.set_tags(self._client, {tags.IN_SWEEP: "false"})
            else:
                found[setting_id] = run
                wanted = self._tags(setting_id)
                run.set_tags(self._client, wanted)
                run.set_name(self._client, wanted[tags.GROUP])
        return found

    def _tags(self, setting_id: str) -> dict[str, str]:
        return tags.setting_tags(self._manifest, self._seeds[setting_id][0], self._order[setting_id])

    def _create(self, setting_id: str) -> MirroredRun:
        wanted = {key: value for key, value in self._tags(setting_id).items() if value}
        start = int(1000 * time.time())
        return MirroredRun.of(
            self._client.create_run(self._id, start_time=start, tags=wanted, run_name=wanted[tags.GROUP])
        )

    def _replace(self, setting_id: str) -> MirroredRun:
        """A new run in place of the setting's run, with the same trials below it."""
        old = self._runs[setting_id]
        new = self._runs[setting_id] = self._create(setting_id)
        for trial in self._trials.values():
            if trial.tags.get(tags.PARENT) == old.run_id:
                trial.set_tags(self._client, {tags.PARENT: new.run_id})
        self._client.delete_run(old.run_id)
        return new

    def _ended(self, trial_id: str) -> str | None:
        """How a trial has ended, as MLflow holds it; None if it has not."""
        trial = self._trials.get(trial_id)
        status = None if trial is None else trial.tags.get(tags.STATUS)
        return status if status in _ENDED else None

    def _read(self, trial_id: str) -> Seed:
        directory = trial_directory(self._sweep, trial_id)
        try:
            status, records = directory.status(), directory.records()
        except DamagedFile:
            return Seed(_DAMAGED, [])
        if status is None or status.lacks_records(records):
            return Seed(_DAMAGED, [])
        return Seed(status.status, records)

    def _log(self, run: MirroredRun, entry: TrialEntry, seeds: list[Seed], key: str, *, is_whole: bool) -> None:
        """Log the numbers, and the curve if it is to be; the tag that says so comes last."""
        from mlflow.entities import Metric, Param, RunTag

        # Among values at one step, MLflow shows the one with the latest timestamp.
        run.latest = max(int(1000 * time.time()), run.latest + 1)
        numbers = summaries(seeds, self._metrics)
        parameters = tags.varied(entry)
        missing = [Param(name, value) for name, value in parameters.items() if name not in run.params]
        done = tags.SUMMARY_OF if not is_whole else tags.CURVE_OF  # The latter: begun, not done.
        self._client.log_batch(
            run.run_id,
            metrics=[Metric(name, value, run.latest, 0) for name, value in numbers.items()],
            params=missing[:100],
            tags=[RunTag(done, key)],
        )
        run.params.update(parameters)
        run.tags[done] = key
        if not is_whole:
            return
        # The timestamps depend on nothing but the epochs: MLflow drops what it has already.
        points = [Metric(name, value, run.start + epoch, epoch) for epoch, name, value in curves(seeds, self._metrics)]
        for start in range(0, max(1, len(points)), _POINTS_PER_CALL):
            chunk = points[start : start + _POINTS_PER_CALL]
            is_last = start + _POINTS_PER_CALL >= len(points)
            self._client.log_batch(run.run_id, metrics=chunk, tags=[RunTag(tags.SUMMARY_OF, key)] if is_last else [])
        run.tags[tags.SUMMARY_OF] = key

    def _set_status(self, run: MirroredRun, ended: list[str], *, is_whole: bool) -> None:
        wanted = "RUNNING"
        if is_whole:
            wanted = "FINISHED" if "finished" in ended else "KILLED" if "stopped" in ended else "FAILED"
        if run.status == wanted:
            return
        if wanted == "RUNNING":
            self._client.update_run(run.run_id, status=wanted)
        else:
            self._client.set_terminated(run.run_id, status=wanted)
        run.status = wanted
