"""Uploading a sweep's report, which in MLflow is a summary run that holds its files."""

import tempfile
import threading
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from wsnet.storage import Folder, Manifest
from wsnet.tracking import tags
from wsnet.tracking.client import connect
from wsnet.tracking.mirrored_run import MirroredRun
from wsnet.tracking.read import search_runs
from wsnet.tracking.tracker import Tracker

__all__ = ["report_files", "upload_report", "upload_report_run"]

_FILES = ("report*.html", "report*.md", "table*.*", "trials.*", "figure*.*")
"""Names of a report's files, as patterns."""

_NAME = "report"
"""The run's name."""


def report_files(folder: Folder) -> list[str]:
    """Names of the report's files in a sweep's folder."""
    return [name for name in folder.names() if any(fnmatch(name, pattern) for pattern in _FILES)]


def upload_report(tracker: Tracker, files: Sequence[str], *, timeout: float = 30.0) -> str | None:
    """Upload a sweep's report. Whatever goes wrong is returned, not raised: a report on disk is complete without it.

    Args:
        tracker: which has the sweep's trials.
        files: names of files in the sweep's folder, as of `report_files`.
        timeout: seconds after which to go on without the rest.

    Returns:
        what went wrong, in one line; None if all files are uploaded.
    """
    trouble: list[str | None] = []

    def run() -> None:
        try:
            with tracker:
                tracker.upload_report(files)
            trouble.append(None)
        except Exception as error:
            trouble.append(tracker.reason(error))

    thread = threading.Thread(target=run, name="wsnet-report", daemon=True)
    thread.start()
    thread.join(timeout)
    return trouble[0] if trouble else tracker.reason(TimeoutError(f"no answer within {timeout:g} s"))


def upload_report_run(folder: Folder, manifest: Manifest, uri: str, files: Sequence[str]) -> None:
    """Upload files to the one run of kind `summary` in the sweep's experiment in MLflow, which must exist."""
    client = connect(uri)
    experiment = client.get_experiment_by_name(manifest.name)
    if experiment is None:
        raise ValueError(f"it has no experiment {manifest.name!r}")
    runs = sorted(search_runs(client, experiment.experiment_id, tags.SUMMARY), key=lambda run: run.info.start_time)
    there = {file.path for file in client.list_artifacts(runs[0].info.run_id)} if runs else set()
    # MLflow cannot delete a file: if one is no longer part of the report, there is a new run. Others come from a call
    # that was repeated, or from two starts of a sweep that ended at once.
    kept = runs[:1] if there <= set(files) else []
    for other in runs[len(kept) :]:
        client.delete_run(other.info.run_id)
    wanted = {tags.KIND: tags.SUMMARY, tags.SWEEP: manifest.name, tags.IN_SWEEP: "true"}
    run = MirroredRun.of(kept[0] if kept else client.create_run(experiment.experiment_id, tags=wanted, run_name=_NAME))
    run.set_tags(client, {**wanted, tags.NOTE: manifest.question})  # The UI shows it as the run's description.
    with tempfile.TemporaryDirectory(prefix="wsnet-report-") as place:
        for name in files:
            if (data := folder.read(name)) is not None:
                Path(place, name).write_bytes(data)
        client.log_artifacts(run.run_id, place)
    if run.status != "FINISHED":
        client.set_terminated(run.run_id, status="FINISHED")
