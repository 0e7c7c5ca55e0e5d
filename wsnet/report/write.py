"""The files of a report, written into a folder: tables, every trial, and a figure."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wsnet.report.csv_files import table_csv, trials_csv, trials_parquet
from wsnet.report.figure import figure_png
from wsnet.report.latex import latex
from wsnet.report.markdown import markdown
from wsnet.report.page import contents, page_html, page_markdown, read_details
from wsnet.report.read import read_directory
from wsnet.report.results import Results
from wsnet.report.table import tabulate
from wsnet.report.terminal import print_table
from wsnet.storage import Folder, note_first_report

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["conclude", "write_report"]


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
    source: Folder | None = None,
) -> list[str]:
    """Write `table.md`, `table.csv`, `table.tex`, `trials.csv`, `figure.png`, `report.md` and `report.html`.

    Args:
        results: of the sweep.
        out: the folder.
        suffix: goes into the names of all but the files of trials, which have every metric: `table-validation-loss.md`.
        quantities: metrics and facts that make the columns; see `arrange`.
        parquet: also write `trials.parquet`.
        source: the sweep's folder, from which the page gets what the results do not have; None for MLflow.

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
    drawn = {f"figure{suffix}": figure_png(results, cells)}  # After the tables: these are there if it cannot be drawn.
    details = None if source is None else read_details(source, results, page=folder)
    sections = contents(results, table, list(drawn), details)
    pages = {
        **{f"{name}.png": data for name, data in drawn.items()},
        f"report{suffix}.md": page_markdown(table.title, sections).encode(),
        f"report{suffix}.html": page_html(table.title, sections, drawn).encode(),
    }
    for name, data in pages.items():
        folder.write(name, data)
    return [(folder / name).location for name in (*files, *pages)]
