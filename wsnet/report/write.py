"""The files of a report: `table.md`, `table.csv`, `trials.csv` and `figure.png`, written into a folder."""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from wsnet.report.figure import figure_png
from wsnet.report.pivot import SETTING, Cell, Pivot, pivot
from wsnet.report.published import CSV_COLUMNS, csv_fields
from wsnet.report.read import read_directory
from wsnet.report.results import Results
from wsnet.report.terminal import print_table
from wsnet.report.text import DIVERGED, caption, cell_text, footnote, value_of_key, value_text
from wsnet.storage import Folder, note_first_report

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["conclude", "table_csv", "table_markdown", "trials_csv", "write_report"]


def conclude(sweep: Folder, console: "Console") -> None:
    """Print a sweep's table and write its report beside its trials.

    Raises:
        StorageError: the folder holds no sweep, or cannot be written to.
    """
    results = read_directory(sweep)
    print_table(results, console)
    written = write_report(results, sweep)
    note_first_report(sweep, {trial.trial_id: trial.status for trial in results.trials})
    console.print(f"Report: {', '.join(written)}", highlight=False, soft_wrap=True)


def write_report(results: Results, out: Folder | str | os.PathLike[str], *, suffix: str = "") -> list[str]:
    """Write `table.md`, `table.csv`, `trials.csv` and `figure.png`.

    Args:
        results: of the sweep.
        out: the folder.
        suffix: goes into the names of all but `trials.csv`, which has every metric: `table-validation-loss.md`.

    Returns:
        the location of each file.

    Raises:
        ReportError: the sweep asks for an unknown statistic.
    """
    folder = out if isinstance(out, Folder) else Folder(out)
    cells = pivot(results)
    files: dict[str, Callable[[], bytes]] = {
        f"table{suffix}.md": lambda: table_markdown(results, cells).encode(),
        f"table{suffix}.csv": lambda: table_csv(results, cells).encode(),
        "trials.csv": lambda: trials_csv(results).encode(),
        f"figure{suffix}.png": lambda: figure_png(results, cells),  # Last: if it cannot be drawn, the tables are there.
    }
    for name, content in files.items():
        folder.write(name, content())
    return [(folder / name).location for name in files]


def table_markdown(results: Results, pivot: Pivot) -> str:
    """The table as Markdown, with its caption."""
    header = results.header
    title = f"**{_escape(header.question or header.name)}**"
    lines = [title, "", f"Sweep `{header.name}`. " + " ".join(caption(header, pivot))]
    if not pivot.rows:
        return "\n".join([*lines, "", "No trial has started yet.", ""])
    keys = pivot.row_keys or ("",)
    columns = [header.metric if header.columns is None else value_text(column) for column in pivot.columns]
    lines += ["", _line([*keys, *columns]), _line(["---"] * len(keys) + ["---:"] * len(columns))]
    for row in pivot.rows:
        cells = [cell_text(pivot.cells.get((row, column)), header) for column in pivot.columns]
        label = [value_of_key(value, key) for key, value in zip(pivot.row_keys, row, strict=True)]
        lines.append(_line([*(label or ["all"]), *cells]))
    note = footnote(pivot)
    return "\n".join([*lines, *(["", note] if note else []), ""])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(_escape, cells)) + " |"


def _escape(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def table_csv(results: Results, pivot: Pivot) -> str:
    """One row per cell: its axes, n, median, low, high at full precision; `diverged` for a diverged seed's value.

    If the sweep chooses each cell's setting, the axes chosen over hold the choice, and two further columns the number
    of candidates and the median that decided; if a first stage chose it, only the former. If the sweep names published
    numbers, they are in columns after those.
    """
    header = results.header
    is_linked = header.published is not None
    axes = [SETTING] * (SETTING in pivot.added) + list(header.axes)
    chosen = ["selected_among"] if header.over else []
    chosen += [f"median_{header.select.by}"] if header.select is not None else []
    rows = []
    for row in pivot.rows:
        for column in pivot.columns:
            cell = pivot.cells.get((row, column))
            if cell is not None:
                own = [*(_axis(cell, axis) for axis in axes), *_summary(cell), *_choice(cell)[: len(chosen)]]
                rows.append([*own, *(csv_fields(cell.published, cell.compared) if is_linked else ())])
    return _csv([*axes, "n", "median", "low", "high", *chosen, *(CSV_COLUMNS if is_linked else ())], rows)


def _axis(cell: Cell, axis: str) -> str:
    return cell.setting_id if axis == SETTING else _plain(cell.axes[axis])


def _summary(cell: Cell) -> list[str]:
    summary = cell.summary
    if summary is None:
        return ["0", "", "", ""]
    return [str(summary.n), *map(_measured, (summary.median, summary.low, summary.high))]


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
            *(_plain(trial.axes[axis]) for axis in axes),
            *(repr(trial.metrics[name]) if name in trial.metrics else "" for name in metrics),
        ]
        for trial in sorted(results.trials, key=lambda trial: trial.trial_id)
    ]
    return _csv(["trial_id", "setting_id", "seed", "status", "epoch", *axes, *metrics], rows)


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
