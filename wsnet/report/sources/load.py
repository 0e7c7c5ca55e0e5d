"""Results as one tidy table, for notebooks and other tools."""

import os
from typing import Any

from wsnet.called import called
from wsnet.report import ReportError
from wsnet.report.results import Results
from wsnet.report.sources.find import check_is_sweep
from wsnet.report.sources.foreign import read_csv
from wsnet.report.sources.read import read_directory
from wsnet.report.tables.csv_files import trial_rows
from wsnet.storage import Folder, trial_directory
from wsnet.storage.trial_directory import LAYERS

__all__ = ["load"]


def load(place: str | os.PathLike[str], *, epochs: bool = False, arrow: bool = False) -> Any:
    """Load a sweep's results.

    Args:
        place: the sweep's folder, or a CSV file with a row for each run.
        epochs: one row for each epoch of each trial, with all its measurements, instead of one for each trial with
            those of its last epoch. Measurements of layers (`train.diagnostics`) are left out.
        arrow: return a `pyarrow.Table`.

    Returns:
        a `pandas.DataFrame` with `trial_id`, `setting_id`, `seed`, `status`, `epoch`, a column for each axis of the
        sweep (dotted, such as `model.norm.name`) and one for each metric (such as `test/top1_error`, in percent).

    Raises:
        ReportError: there is no sweep.
        StorageError: the sweep's manifest is damaged.
    """
    import pyarrow

    path = os.fspath(place)
    if path.endswith(".zip"):
        raise ReportError(f"a bundle must be unpacked first, by {called('analyze')} {path}")
    if path.endswith(".csv"):
        if epochs:
            raise ReportError(f"{path!r} has a row for each run, not for each epoch")
        results = read_csv(path)
        rows = trial_rows(results)
    else:
        check_is_sweep(path)
        results = read_directory(Folder(path))
        rows = _epochs(Folder(path), results) if epochs else trial_rows(results)
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in names})
    return table if arrow else table.to_pandas()


def _epochs(folder: Folder, results: Results) -> list[dict[str, Any]]:
    last = set(results.metrics)
    rows = []
    for trial in trial_rows(results):
        about = {name: value for name, value in trial.items() if name not in last and name != "epoch"}
        for record in trial_directory(folder, trial["trial_id"]).records():
            measured = {name: value for name, value in record.items() if not name.startswith(LAYERS)}
            rows.append({**about, "epoch": int(measured.pop("epoch")), **measured})
    return rows
