"""Reading results: from the folder of a sweep, or from MLflow. Both give a manifest and the outcomes of its trials."""

from dataclasses import replace
from typing import TYPE_CHECKING

from wsnet.report import ReportError
from wsnet.report.header import Header, axis_text
from wsnet.report.results import Results
from wsnet.report.sources.find import check_is_sweep
from wsnet.report.sources.foreign import of_other_runs, read_csv
from wsnet.report.tables.pivot import pivot
from wsnet.storage import Folder, Manifest, Outcome, TrialDirectory, trial_directory
from wsnet.storage.seeds import higher_is_better, measured
from wsnet.tracking import NotASweep, read_other, read_sweep

if TYPE_CHECKING:
    from wsnet.config.reading.stages import Chosen

__all__ = ["read_chosen", "read_directory", "read_mlflow", "read_place"]


def read_directory(folder: Folder, *, best_by: str | None = None) -> Results:
    """Read a sweep's folder.

    Args:
        folder: the sweep's.
        best_by: a metric of the validation split: each finished trial counts with the epoch at which it was best, the
            first such epoch; None for the last epoch.

    Raises:
        StorageError: it holds no sweep.
        ReportError: `best_by` is not of the validation split; or see `Header.of`.
    """
    if best_by is not None and not best_by.startswith("validation"):
        raise ReportError(f"the best epoch must be chosen on the validation split, but got {best_by!r}")
    manifest = Manifest.read(folder)
    with_directory = set((folder / "trials").names())
    outcomes = {
        entry.trial_id: outcome
        for entry in manifest.trials
        if entry.trial_id in with_directory
        and (outcome := _outcome(trial_directory(folder, entry.trial_id), best_by)) is not None
    }
    header = Header.of(manifest)
    if best_by is not None:
        header = replace(header.without_comparisons, at=f"the epoch with each trial's best {best_by}")
    return Results.of(header, manifest.trials, outcomes)


def _outcome(directory: TrialDirectory, best_by: str | None) -> Outcome | None:
    outcome = directory.outcome()
    if outcome is None or best_by is None or outcome.status != "finished":
        return outcome
    values = [(value, record) for record in directory.records() if (value := measured(record, best_by)) is not None]
    sign = -1 if higher_is_better(best_by) else 1
    return replace(outcome, record=min(values, key=lambda pair: sign * pair[0])[1]) if values else outcome


def read_place(place: str, *, best_by: str | None = None) -> Results:
    """Read a sweep's folder (see `read_directory`), or a CSV file with a row for each run (see `read_csv`).

    Raises:
        ReportError: there is no sweep, with a suggestion of what may have been meant; or see `Header.of`.
        StorageError: the folder cannot be read.
    """
    if place.endswith(".csv"):
        return read_csv(place)
    check_is_sweep(place)
    return read_directory(Folder(place), best_by=best_by)


def read_mlflow(uri: str, experiment: str) -> Results:
    """Read a sweep's experiment, or the runs of another tool's (see `of_other_runs`).

    Raises:
        TrackingError: nothing answers at the URI, or it has no such experiment, or that has no runs with metrics.
        ReportError: see `Header.of`.
    """
    try:
        found = read_sweep(uri, experiment)
    except NotASweep as error:
        return of_other_runs(experiment, read_other(uri, experiment), else_raise=error)
    header = replace(
        Header.of(found.manifest),
        # MLflow's manifest has only the trials that have started; these two describe the whole sweep.
        seeds=found.seeds,
        column_values=tuple(map(axis_text, found.column_values)),
    )
    return Results.of(header, found.manifest.trials, found.outcomes)


def read_chosen(stage: Folder) -> "Chosen":
    """Choose a setting for each cell of a sweep's table, from its records.

    Args:
        stage: folder of the first stage.

    Raises:
        StorageError: it holds no sweep.
        ReportError: see `Header.of`.
    """
    from wsnet.config.reading.stages import Chosen  # A report of a single sweep does without what reads sweep files.

    cells = pivot(read_directory(stage)).cells.values()
    decided = [cell for cell in cells if cell.choice is None or cell.choice.setting_id is not None]
    return Chosen(
        places=[cell.axes for cell in decided],
        candidates=max((cell.choice.among for cell in decided if cell.choice is not None), default=1),
        undecided=len(cells) - len(decided),
    )
