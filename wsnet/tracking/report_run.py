"""The sweep's summary run in MLflow, which holds the files of its report."""

import tempfile
import threading
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from wsnet.storage import Folder, Manifest
from wsnet.tracking import tags
from wsnet.tracking.client import connect, fail_fast, reason
from wsnet.tracking.mirrored_run import MirroredRun
from wsnet.tracking.read import search_runs

__all__ = ["report_files", "upload_report"]

_FILES = ("report*.html", "report*.md", "table*.*", "trials.*", "figure*.*")
"""Names of a report's files, as patterns."""

_NAME = "report"
"""The run's name."""


def report_files(folder: Folder) -> list[str]:
    """Names of the report's files in a sweep's folder."""
    return [name for name in folder.names() if any(fnmatch(name, pattern) for pattern in _FILES)]


def upload_report(
    folder: Folder, manifest: Manifest, uri: str, files: Sequence[str] | None = None, *, timeout: float = 30.0
) -> str | None:
    """Upload a sweep's report to the one run of kind `summary` in the sweep's experiment, which must exist.

    Whatever goes wrong with MLflow is returned, not raised: a report that is on disk is complete without it.

    Args:
        folder: the sweep's folder, with the report.
        manifest: the sweep's.
        uri: tracking URI.
        files: names of files in the folder; default: `report_files`.
        timeout: seconds after which to go on without the rest.

    Returns:
        what went wrong, in one line; None if all files are in MLflow.
    """
    trouble: list[str | None] = []

    def run() -> None:
        try:
            with fail_fast():
                _upload(folder, manifest, uri, report_files(folder) if files is None else files)
            trouble.append(None)
        except Exception as error:
            trouble.append(reason(uri, error))

    thread = threading.Thread(target=run, name="wsnet-report", daemon=True)
    thread.start()
    thread.join(timeout)
    return trouble[0] if trouble else f"{reason(uri, TimeoutError(f'no answer within {timeout:g} s'))}"


def _upload(folder: Folder, manifest: Manifest, uri: str, files: Sequence[str]) -> None:
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
