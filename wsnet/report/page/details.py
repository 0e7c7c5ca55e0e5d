"""What only a sweep's folder knows of its trials: how they were computed, and why they failed."""

import os
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from wsnet.report.results import Results
from wsnet.report.tables.text import plain_text
from wsnet.storage import DamagedFile, Folder, trial_directory

__all__ = ["Details", "experiment_id", "read_details"]

_UI = "http://127.0.0.1:5000"


_SHOWN = ("device_name", "threads", "workers", "precision", "compile", "torch", "cuda", "python", "revision")


@dataclass(frozen=True, kw_only=True)
class Details:
    """What only a sweep's folder knows.

    Attributes:
        messages: by trial_id, how a trial ended, in words; empty text where there is nothing to say.
        environment: by name, the distinct values over all trials.
        devices: names of the devices that trials were trained on.
        configuration: the first trial's `trial.yaml`.
        sweep_file: the sweep file as it was run.
        trials: where the page finds the trials' folders; None where it cannot link to them.
        mlflow: address of the sweep's runs in MLflow's UI, to which a search is appended; None if unknown.
    """

    messages: dict[str, str]
    environment: dict[str, list[str]]
    devices: list[str]
    configuration: str
    sweep_file: str
    trials: str | None
    mlflow: str | None = None


def read_details(folder: Folder, results: Results, *, page: Folder) -> Details:
    """Read them.

    Args:
        folder: the sweep's.
        results: of the sweep.
        page: the folder that the page will be written to.
    """
    messages: dict[str, str] = {}
    values: dict[str, dict[str, None]] = defaultdict(dict)
    ids = list(dict.fromkeys(trial.trial_id for trial in results.trials))
    for trial_id in ids:
        directory = trial_directory(folder, trial_id)
        try:
            status, execution = directory.status(), directory.execution() or {}
        except DamagedFile as error:
            messages[trial_id] = str(error)
            continue
        messages[trial_id] = "" if status is None else status.message
        for key in _SHOWN:
            if execution.get(key) not in (None, ""):
                values[key][plain_text(execution[key])] = None
    revision: Any = results.header.revision
    if revision:
        values["revision"][str(revision)] = None
    first = trial_directory(folder, ids[0]).folder.read("trial.yaml") if ids else None
    return Details(
        messages=messages,
        environment={key.replace("_", " "): list(values[key]) for key in _SHOWN if values[key]},
        devices=list(values["device_name"]),
        configuration=(first or b"").decode(),
        sweep_file=(folder.read("sweep.yaml") or b"").decode(),
        trials=_relative(folder, page),
        mlflow=_runs_in_mlflow(folder, results.header.name),
    )


def _runs_in_mlflow(folder: Folder, name: str) -> str | None:
    """For the sweep's own database, the address that `mlflow ui` has by default."""
    identity = experiment_id(folder, name)
    return None if identity is None else f"{_UI}/#/experiments/{identity}/runs?searchFilter="


def experiment_id(folder: Folder, name: str) -> str | None:
    """The sweep's experiment in its own database, read without MLflow, which takes a second to load; None if absent."""
    file = None if folder.local is None else folder.local / "mlflow.db"
    if file is None or not file.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("select experiment_id from experiments where name = ?", (name,)).fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else str(found[0])


def _relative(folder: Folder, page: Folder) -> str | None:
    if folder.local is None or page.local is None:
        return None
    return os.path.relpath(folder.local / "trials", page.local).replace(os.sep, "/")
