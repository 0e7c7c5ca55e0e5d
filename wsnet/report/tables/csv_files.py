"""`table.csv` and `trials.csv`: cells and trials at full precision; and the trials as Parquet."""

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.pivot import SETTING, Cell, Pivot
from wsnet.report.tables.published import CSV_COLUMNS, csv_fields
from wsnet.report.tables.summaries import fact_of, once, summary_of
from wsnet.report.tables.text import DIVERGED

__all__ = ["table_csv", "trial_rows", "trials_csv", "trials_parquet"]


def table_csv(results: Results, pivot: Pivot, quantities: Sequence[str] = ()) -> str:
    """One row per cell: its axes, n, median, low, high at full precision; `diverged` for a diverged seed's value.

    If the sweep chooses each cell's setting, the axes chosen over hold the choice, and two further columns the number
    of candidates and the median that decided; if a first stage chose it, only the former. If the sweep names published
    numbers, they are in columns after those. The metrics and facts that make the columns of such a table come last.
    """
    header = results.header
    is_linked = header.published is not None
    axes = [SETTING] * (SETTING in pivot.added) + list(header.axes)
    chosen = ["selected_among"] if header.over else []
    chosen += [f"median_{header.select.by}"] if header.select is not None else []
    others = {quantity: _of_settings(results, quantity) for quantity in quantities if quantity != header.metric}
    rows = []
    for row in pivot.rows:
        for column in pivot.columns:
            cell = pivot.cells.get((row, column))
            if cell is not None:
                own = [
                    *(_axis(cell, axis) for axis in axes),
                    *_summary(cell, header.statistic),
                    *_choice(cell)[: len(chosen)],
                ]
                own += csv_fields(cell.published, cell.compared) if is_linked else ()
                rows.append([*own, *(others[quantity].get(cell.setting_id, "") for quantity in others)])
    shown = ["n", "median", "low", "high", *(("mean", "deviation") if header.statistic == "mean" else ())]
    return _csv([*axes, *shown, *chosen, *(CSV_COLUMNS if is_linked else ()), *others], rows)


def _of_settings(results: Results, quantity: str) -> dict[str, str]:
    """By setting, the median of a metric or of a fact over its trials."""
    trials: dict[str, list[PlacedTrial]] = {}
    for trial in once(results.trials):
        trials.setdefault(trial.setting_id, []).append(trial)
    found = {}
    for setting, seeds in trials.items():
        if "/" in quantity:
            summary = summary_of(seeds, quantity)
            found[setting] = "" if summary is None else _measured(summary.median)
        else:
            values = [value for trial in seeds if (value := fact_of(trial, quantity)) is not None]
            found[setting] = repr(statistics.median_low(values)) if values else ""
    return found


def _axis(cell: Cell, axis: str) -> str:
    return cell.setting_id if axis == SETTING else _plain(cell.shown[axis])


def _summary(cell: Cell, statistic: str) -> list[str]:
    summary = cell.summary
    further = 2 if statistic == "mean" else 0
    if summary is None:
        return ["0", *[""] * (3 + further)]
    values = (summary.median, summary.low, summary.high, summary.mean, summary.deviation)
    return [str(summary.n), *map(_measured, values[: 3 + further])]


def _choice(cell: Cell) -> list[str]:
    if cell.choice is None:
        return []
    return [str(cell.choice.among), "" if cell.choice.by is None else _measured(cell.choice.by.median)]


def _measured(value: float) -> str:
    return repr(value) if math.isfinite(value) else DIVERGED


def trials_csv(results: Results) -> str:
    """One row per trial and place, sorted by trial_id: its axes and last-epoch metrics at full precision."""
    axes, metrics = results.header.axes, results.metrics
    rows = [
        [
            *(trial.trial_id, trial.setting_id, str(trial.seed), trial.status, str(trial.epoch)),
            *(_plain(trial.shown(axis)) for axis in axes),
            *(repr(trial.metrics[name]) if name in trial.metrics else "" for name in metrics),
        ]
        for trial in sorted(results.trials, key=lambda trial: trial.trial_id)
    ]
    return _csv(["trial_id", "setting_id", "seed", "status", "epoch", *axes, *metrics], rows)


def trials_parquet(results: Results) -> bytes:
    """The rows of `trials.csv`, with their types and what else is known of a trial."""
    import pyarrow
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(trial_rows(results)), stream)
    return stream.getvalue()


def trial_rows(results: Results) -> list[dict[str, Any]]:
    """One row per trial and place, sorted by trial_id; values of different types on one axis are text."""
    axes, metrics = results.header.axes, results.metrics
    values = {axis: [_value(trial.shown(axis)) for trial in results.trials] for axis in axes}
    mixed = {axis for axis, found in values.items() if not _is_of_one_type(found)}
    return [
        {
            "trial_id": trial.trial_id,
            "setting_id": trial.setting_id,
            "seed": trial.seed,
            "status": trial.status,
            "epoch": trial.epoch,
            **{
                axis: (_plain(trial.shown(axis)) or None) if axis in mixed else _value(trial.shown(axis))
                for axis in axes
            },
            "parameters": trial.parameters,
            "multiply_accumulates": trial.multiply_accumulates,
            "training_seconds": trial.seconds,
            **{name: trial.metrics.get(name) for name in metrics},
        }
        for trial in sorted(results.trials, key=lambda trial: trial.trial_id)
    ]


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _is_of_one_type(values: Iterable[Any]) -> bool:
    kinds = {type(value) for value in values if value is not None}
    return (len(kinds) < 2 and not kinds & {list, dict}) or kinds <= {int, float}


def _plain(value: str | None) -> str:
    """JSON text, without the quotes if it is a string; empty where the axis does not apply."""
    if value is None:
        return ""
    plain = json.loads(value)
    return plain if isinstance(plain, str) else value


def _csv(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
