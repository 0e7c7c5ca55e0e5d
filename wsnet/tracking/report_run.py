"""The sweep's summary run in MLflow, which holds the files of its report."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from wsnet.storage import Folder, Manifest
from wsnet.tracking import tags
from wsnet.tracking.client import connect
from wsnet.tracking.mirrored_run import MirroredRun
from wsnet.tracking.read import search_runs

__all__ = ["upload_report_run"]

_NAME = "report"
"""The run's name."""


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
