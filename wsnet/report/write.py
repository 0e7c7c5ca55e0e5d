"""The files of a report, written into a folder: tables, every trial, figures, and the page with all of them."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from wsnet.report import ReportError
from wsnet.report.curves import Curves, read_curves
from wsnet.report.figures import KINDS, figures, render
from wsnet.report.page import contents, page_html, page_markdown, read_details
from wsnet.report.results import Results
from wsnet.report.sources.read import read_directory
from wsnet.report.tables.csv_files import table_csv, trials_csv, trials_parquet
from wsnet.report.tables.latex import latex
from wsnet.report.tables.markdown import markdown
from wsnet.report.tables.pivot import Pivot
from wsnet.report.tables.table import tabulate
from wsnet.report.tables.terminal import print_table
from wsnet.storage import Folder, Manifest, note_first_report

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["FigureFormat", "conclude", "write_report"]

FigureFormat = Literal["png", "svg", "pdf"]


def conclude(sweep: Folder, console: "Console") -> None:
    """Print a sweep's table and write its report beside its trials.

    Raises:
        StorageError: the folder holds no sweep, or cannot be written to.
    """
    results = read_directory(sweep)
    print_table(results, console)
    written = write_report(results, sweep, source=sweep)
    note_first_report(sweep, {trial.trial_id: trial.status for trial in results.trials})
    console.print(f"Report: {', '.join(written)}", highlight=False, soft_wrap=True)


def write_report(
    results: Results,
    out: Folder | str | os.PathLike[str],
    *,
    suffix: str = "",
    quantities: Sequence[str] = (),
    parquet: bool = False,
    formats: Sequence[FigureFormat] = ("png",),
    source: Folder | None = None,
) -> list[str]:
    """Write `table.md`, `table.csv`, `table.tex`, `trials.csv`, the figures, `report.md` and `report.html`.

    Args:
        results: of the sweep.
        out: the folder.
        suffix: goes into the names of all but the files of trials, which have every metric: `table-validation-loss.md`.
        quantities: metrics and facts that make the columns; see `arrange`.
        parquet: also write `trials.parquet`.
        formats: of the figures; PNG is always among them, since the page shows it.
        source: the sweep's folder, which has learning curves and more about the trials; None for MLflow.

    Returns:
        the location of each file.

    Raises:
        ReportError: the sweep asks for an unknown statistic.
    """
    folder = out if isinstance(out, Folder) else Folder(out)
    table, cells = tabulate(results, quantities)
    files: dict[str, Callable[[], bytes]] = {
        f"table{suffix}.md": lambda: markdown(table).encode(),
        f"table{suffix}.csv": lambda: table_csv(results, cells, quantities).encode(),
        f"table{suffix}.tex": lambda: latex(table).encode(),
        "trials.csv": lambda: trials_csv(results).encode(),
        **({"trials.parquet": lambda: trials_parquet(results)} if parquet else {}),
    }
    for name, content in files.items():
        folder.write(name, content())
    # After the tables: these are there if a figure cannot be drawn.
    drawn = _figures(results, cells, source, formats=dict.fromkeys(("png", *formats)))
    names = {name: name.replace("figure", f"figure{suffix}", 1) for name in drawn}
    details = None if source is None else read_details(source, results, page=folder)
    sections = contents(results, table, list(names.values()), details)
    shown = {names[name]: found["png"] for name, found in drawn.items()}
    rest = {
        **{f"{names[name]}.{ending}": data for name, found in drawn.items() for ending, data in found.items()},
        f"report{suffix}.md": page_markdown(table.title, sections).encode(),
        f"report{suffix}.html": page_html(table.title, sections, shown).encode(),
    }
    for name, data in rest.items():
        folder.write(name, data)
    for name in {
        f"figure{suffix}-{kind}.{ending}" for kind in KINDS for ending in get_args(FigureFormat)
    } - rest.keys():
        folder.delete(name)  # Of an earlier report that had more.
    return [(folder / name).location for name in (*files, *rest)]


def _figures(
    results: Results, cells: Pivot, source: Folder | None, *, formats: dict[FigureFormat, None]
) -> dict[str, dict[FigureFormat, bytes]]:
    """The bytes of each figure in each format."""
    facts = {
        trial.setting_id: {"parameters": float(trial.parameters)}
        for trial in results.trials
        if trial.parameters is not None
    }
    draws = figures(results, cells, None if source is None else _curves(results, source), facts=facts)
    drawn = {name: draw() for name, draw in draws.items()}
    return {name: {ending: render(figure, ending) for ending in formats} for name, figure in drawn.items()}


def _curves(results: Results, source: Folder) -> Curves | None:
    shown, metric = {trial.trial_id for trial in results.trials}, results.header.metric
    entries = [entry for entry in Manifest.read(source).trials if entry.trial_id in shown]
    try:
        found = read_curves(source, entries, [metric.replace("accuracy", "error")])
    except ReportError:  # No whole epoch yet.
        return None
    return found if metric in found.metrics else found.as_accuracies(metric)
