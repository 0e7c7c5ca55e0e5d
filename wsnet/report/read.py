"""Reading results: from the folder of a sweep, or from MLflow. Both give a manifest and the outcomes of its trials."""

from dataclasses import replace

from wsnet.config.reading.stages import Chosen
from wsnet.report.find import check_is_sweep
from wsnet.report.foreign import read_csv
from wsnet.report.pivot import pivot
from wsnet.report.results import Header, Results, axis_text
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.tracking import read_sweep

__all__ = ["read_chosen", "read_directory", "read_mlflow", "read_place"]


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


def read_place(place: str) -> Results:
    """Read a sweep's folder, or a CSV file with a row for each run (see `read_csv`).

    Raises:
        ReportError: there is no sweep, with a suggestion of what may have been meant; or see `Header.of`.
        StorageError: the folder cannot be read.
    """
    if place.endswith(".csv"):
        return read_csv(place)
    check_is_sweep(place)
    return read_directory(Folder(place))


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


def read_chosen(stage: Folder) -> Chosen:
    """Choose a setting for each cell of a sweep's table, from its records.

    Args:
        stage: folder of the first stage.

    Raises:
        StorageError: it holds no sweep.
        ReportError: see `Header.of`.
    """
    cells = pivot(read_directory(stage)).cells.values()
    decided = [cell for cell in cells if cell.choice is None or cell.choice.setting_id is not None]
    return Chosen(
        places=[cell.axes for cell in decided],
        candidates=max((cell.choice.among for cell in decided if cell.choice is not None), default=1),
        undecided=len(cells) - len(decided),
    )
