"""Reading results: from the directories of a sweep, or from MLflow."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from wsnet.config.errors import did_you_mean
from wsnet.report.results import Header, ReportError, Results, Trial, last_values
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.tracking import tags
from wsnet.tracking.client import connect, impatient, reason, sqlite_file
from wsnet.tracking.runs import trial_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

__all__ = ["read_directory", "read_mlflow"]


def read_directory(folder: Folder) -> Results:
    """Read a sweep's folder.

    Raises:
        StorageError: it holds no sweep.
    """
    manifest = Manifest.read(folder)
    started = set((folder / "trials").names())
    trials = []
    for order, entry in enumerate(manifest.trials):
        if entry.trial_id not in started:
            continue
        directory = trial_directory(folder, entry.trial_id)
        status = directory.status()
        if status is None:
            continue
        records = directory.records()
        trials.append(
            Trial(
                trial_id=entry.trial_id,
                setting_id=entry.setting_id,
                seed=entry.seed,
                status=status.status,
                order=order,
                epoch=int(records[-1][tags.EPOCH]) if records else 0,
                places=entry.places,
                metrics=last_values(records[-1]) if records else {},
            )
        )
    return Results.of(Header.from_tags(manifest.name, tags.experiment_tags(manifest)), trials)


def read_mlflow(uri: str, experiment: str) -> Results:
    """Read a sweep's experiment.

    Raises:
        ReportError: nothing answers at the URI, or it has no such experiment, or that is no sweep's.
    """
    file = sqlite_file(uri)
    if file is not None and not _is_mlflow(file):  # MLflow would create it, or its tables in it.
        raise ReportError(f"tracking URI must name an existing database of MLflow's, but got {uri!r}")
    with impatient():
        try:
            client = connect(uri)
            found = client.get_experiment_by_name(experiment)
            names = [] if found is not None else _sweeps(client)
            runs = trial_runs(client, found.experiment_id)[0] if found is not None else {}
        except Exception as error:
            raise ReportError(reason(uri, error)) from error
    if found is None:
        there = did_you_mean(experiment, names) or "; there are no sweeps"
        raise ReportError(f"no experiment {experiment!r} in {uri}{there}")
    if tags.REPORT not in found.tags:
        raise ReportError(f"experiment {experiment!r} in {uri} is no sweep's: it has no tag {tags.REPORT!r}")
    return _results(found, runs)


def _results(experiment: "Experiment", runs: "dict[str, Run]") -> Results:
    header = Header.from_tags(experiment.name, experiment.tags)
    # The status tag comes last, so a run without it is not there yet.
    there = [
        run for run in runs.values() if tags.STATUS in run.data.tags and run.data.tags.get(tags.IN_SWEEP) == "true"
    ]
    return Results.of(header, map(_trial, there))


def _trial(run: "Run") -> Trial:
    tag = run.data.tags
    epoch = int(run.data.metrics.get(tags.EPOCH, 0))
    # Only the protocol buffer tells at which step a metric was last logged.
    record = {metric.key: metric.value for metric in run.data.to_proto().metrics if metric.step == epoch}
    return Trial(
        trial_id=tag[tags.TRIAL_ID],
        setting_id=tag[tags.SETTING_ID],
        seed=int(tag[tags.SEED]),
        status=tag[tags.STATUS],
        order=int(tag[tags.ORDER]),
        epoch=epoch,
        places=[json.loads(tag[tags.AXES]), *json.loads(tag.get(tags.ALSO) or "[]")],
        metrics=last_values(record),
    )


def _sweeps(client: "MlflowClient") -> list[str]:
    return sorted(experiment.name for experiment in client.search_experiments() if tags.REPORT in experiment.tags)


def _is_mlflow(file: Path) -> bool:
    """Whether a file is a database of MLflow's; looks without changing it."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("select 1 from sqlite_master where name = 'experiments'").fetchone()
    except sqlite3.Error:
        return False
    return found is not None
