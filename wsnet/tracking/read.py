"""Reading a sweep back from MLflow: its manifest, and the outcome of every trial that has started."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.config.errors import did_you_mean
from wsnet.storage import Manifest, Outcome
from wsnet.tracking import tags
from wsnet.tracking.client import TrackingError, connect, fail_fast, reason, sqlite_file, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

__all__ = [
    "MirroredSweep",
    "NotASweep",
    "OtherRun",
    "TrackingError",
    "read_other",
    "read_sweep",
    "runs_by_trial",
    "search_runs",
]


class NotASweep(TrackingError):
    """The experiment exists, but wsnet has not made it."""


@dataclass(frozen=True, kw_only=True)
class MirroredSweep:
    """What MLflow holds of a sweep.

    Attributes:
        manifest: with the trials that have started, in the order of the sweep file; MLflow knows of no others.
        seeds: `Manifest.seeds` of the whole sweep.
        column_values: `Manifest.column_values` of the whole sweep.
        outcomes: by trial_id, of the manifest's trials.
    """

    manifest: Manifest
    seeds: int
    column_values: list[Any]
    outcomes: dict[str, Outcome]


def read_sweep(uri: str, experiment: str) -> MirroredSweep:
    """Read a sweep's experiment.

    Raises:
        NotASweep: the experiment is not a sweep's.
        TrackingError: nothing answers at the URI, or it has no such experiment.
    """
    with _asked(uri) as client:
        found = _experiment(client, uri, experiment)
        is_sweep = tags.REPORT in found.tags
        runs = runs_by_trial(client, found.experiment_id)[0] if is_sweep else {}
    if not is_sweep:
        raise NotASweep(
            f"experiment {experiment!r} in {without_password(uri)} is not a sweep: it has no tag {tags.REPORT!r}"
        )
    return _sweep(found, runs)


@dataclass(frozen=True, kw_only=True)
class OtherRun:
    """A run that wsnet has not made.

    Attributes:
        run_id: MLflow's.
        is_finished: whether MLflow says so.
        params: its parameters.
        metrics: the last value of each.
    """

    run_id: str
    is_finished: bool
    params: dict[str, str]
    metrics: dict[str, float]


def read_other(uri: str, experiment: str) -> list[OtherRun]:
    """Read the runs of an experiment that is not a sweep's, in the order in which they were started.

    Raises:
        TrackingError: nothing answers at the URI, or it has no such experiment.
    """
    with _asked(uri) as client:
        runs = list(search_runs(client, _experiment(client, uri, experiment).experiment_id))
    return [
        OtherRun(
            run_id=run.info.run_id,
            is_finished=run.info.status == "FINISHED",
            params=dict(run.data.params),
            metrics=dict(run.data.metrics),
        )
        for run in sorted(runs, key=lambda run: run.info.start_time)
    ]


@contextmanager
def _asked(uri: str) -> Iterator["MlflowClient"]:
    """A client that fails fast, and whose failures are `TrackingError`s."""
    file = sqlite_file(uri)
    if file is not None and not _is_mlflow(file):  # MLflow would create the file or its tables.
        raise TrackingError(f"tracking URI must name an existing MLflow database, but got {without_password(uri)!r}")
    with fail_fast():
        try:
            yield connect(uri)
        except TrackingError:
            raise
        except Exception as error:
            raise TrackingError(reason(uri, error)) from error


def _experiment(client: "MlflowClient", uri: str, name: str) -> "Experiment":
    found = client.get_experiment_by_name(name)
    if found is None:
        hint = did_you_mean(name, _sweep_names(client)) or "; there are no sweeps"
        raise TrackingError(f"no experiment {name!r} in {without_password(uri)}{hint}")
    return found


def runs_by_trial(client: "MlflowClient", experiment_id: str) -> tuple[dict[str, "Run"], list["Run"]]:
    """An experiment's runs by trial_id, for each trial the one with the most epochs; and the duplicates of those."""
    runs: dict[str, Run] = {}
    duplicates: list[Run] = []
    for run in search_runs(client, experiment_id, tags.TRIAL):
        trial_id = run.data.tags[tags.TRIAL_ID]
        other = runs.setdefault(trial_id, run)
        if other is not run:
            worse, runs[trial_id] = sorted((other, run), key=lambda each: each.data.metrics.get(tags.EPOCH, 0))
            duplicates.append(worse)
    return runs, duplicates


def search_runs(client: "MlflowClient", experiment_id: str, kind: str | None = None) -> Iterator["Run"]:
    """All runs of an experiment, or those of a kind (see `tags.KIND`), a thousand a call."""
    wanted, token = "" if kind is None else f"tags.`{tags.KIND}` = '{kind}'", None
    while True:
        page = client.search_runs([experiment_id], wanted, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _sweep(experiment: "Experiment", runs: "dict[str, Run]") -> MirroredSweep:
    # The status tag is written last, so a run without one is not complete yet.
    complete = [
        run for run in runs.values() if tags.STATUS in run.data.tags and run.data.tags.get(tags.IN_SWEEP) == "true"
    ]
    complete.sort(key=lambda run: int(run.data.tags[tags.ORDER]))
    trials = [tags.trial_from_tags(run.info.run_name, run.data.tags) for run in complete]
    return MirroredSweep(
        manifest=tags.manifest_from_tags(experiment.name, experiment.tags, trials),
        seeds=int(experiment.tags[tags.SEEDS]),
        column_values=tags.value_of_tag(experiment.tags, tags.COLUMN_VALUES),
        outcomes={run.data.tags[tags.TRIAL_ID]: _outcome(run) for run in complete},
    )


def _outcome(run: "Run") -> Outcome:
    epoch = int(run.data.metrics.get(tags.EPOCH, 0))
    # Only the protocol buffer tells at which step a metric was last logged.
    last = {metric.key: metric.value for metric in run.data.to_proto().metrics if metric.step == epoch}
    status, start, end = run.data.tags[tags.STATUS], run.info.start_time, run.info.end_time
    return Outcome(
        status=status,
        seconds=None if status == "running" or end is None else (end - start) / 1000,
        record={key: value for key, value in last.items() if not key.startswith(tags.FINAL)},
        is_compiled=run.data.tags.get(tags.COMPILED) == "true",
    )


def _sweep_names(client: "MlflowClient") -> list[str]:
    return sorted(experiment.name for experiment in client.search_experiments() if tags.REPORT in experiment.tags)


def _is_mlflow(file: Path) -> bool:
    """Whether a file is an MLflow database; opens it read-only."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("select 1 from sqlite_master where name = 'experiments'").fetchone()
    except sqlite3.Error:
        return False
    return found is not None
