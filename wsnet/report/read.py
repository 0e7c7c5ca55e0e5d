"""Reading results: from the folder of a sweep, or from MLflow. Both give a manifest and the outcomes of its trials."""

from dataclasses import replace

from wsnet.report.results import Header, Results, axis_text
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.tracking import read_sweep

__all__ = ["read_directory", "read_mlflow"]


def read_directory(folder: Folder) -> Results:
    """Read a sweep's folder.

    Raises:
        StorageError: it holds no sweep.
        ReportError: see `Header.of`.
    """
    manifest = Manifest.read(folder)
    with_directory = set((folder / "trials").names())
    outcomes = {
        entry.trial_id: outcome
        for entry in manifest.trials
        if entry.trial_id in with_directory
        and (outcome := trial_directory(folder, entry.trial_id).outcome()) is not None
    }
    return Results.of(Header.of(manifest), manifest.trials, outcomes)


def read_mlflow(uri: str, experiment: str) -> Results:
    """Read a sweep's experiment.

    Raises:
        TrackingError: nothing answers at the URI, it has no such experiment, or the experiment is not a sweep's.
        ReportError: see `Header.of`.
    """
    found = read_sweep(uri, experiment)
    header = replace(
        Header.of(found.manifest),
        # MLflow's manifest has only the trials that have started; these two describe the whole sweep.
        seeds=found.seeds,
        column_values=tuple(map(axis_text, found.column_values)),
    )
    return Results.of(header, found.manifest.trials, found.outcomes)
