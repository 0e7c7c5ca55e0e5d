"""The table on a terminal, wide or narrow."""

from typing import TYPE_CHECKING

from wsnet.report.pivot import Label, Pivot, pivot
from wsnet.report.results import Results
from wsnet.report.text import caption, cell_text, footnote, label_text, value_of_key, value_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["print_table"]


def print_table(results: Results, console: "Console") -> None:
    """Print the cells of `table.md`: as a table if it fits, with cells on two lines if necessary, or else as a list."""
    from rich.markup import escape
    from rich.text import Text

    header, cells = results.header, pivot(results)
    console.print(f"[bold]{escape(header.question or header.name)}[/bold]", highlight=False)
    if not cells.rows:
        console.print("No trial has started yet.", highlight=False)
        return
    if not _print_table(results, cells, console) and not _print_table(results, cells, console, tall=True):
        _print_narrow(results, cells, console)
    for line in caption(header, cells):
        console.print(Text(line, style="dim"))
    note = footnote(cells)
    if note:
        console.print(Text(note, style="dim"))


def _print_table(results: Results, cells: Pivot, console: "Console", *, tall: bool = False) -> bool:
    """Print a table if it fits, with the range below the median if `tall`; return whether it was printed."""
    from rich.box import SIMPLE_HEAD
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    header = results.header
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for key in cells.row_keys or ("",):
        # Short headings: the last part of a key, unless two share it.
        table.add_column(Text(_short(key, cells.row_keys)), no_wrap=True)
    for column in cells.columns:
        heading = header.metric if header.columns is None else value_text(column)
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for row in cells.rows:
        label = [value_of_key(value, key) for key, value in zip(cells.row_keys, row, strict=True)]
        before = "\n" if tall else " "
        texts = [cell_text(cells.cells.get((row, c)), header, before_choice=before) for c in cells.columns]
        if tall:
            texts = [text.replace(" [", "\n[").replace(" (", "\n(") for text in texts]
        table.add_row(*map(_styled, [*(label or ["all"]), *texts]))
    if Measurement.get(console, console.options.update(max_width=10_000), table).maximum > console.width:
        return False
    console.print(table)
    return True


def _print_narrow(results: Results, cells: Pivot, console: "Console") -> None:
    from rich.text import Text

    header = results.header
    for row in cells.rows:
        console.print(Text(label_text(row, cells.row_keys), style="bold"))
        for column in cells.columns:
            cell = cells.cells.get((row, column))
            if cell is not None:
                heading = "" if header.columns is None else f"{value_text(column)}: "
                console.print(Text("  " + heading).append_text(_styled(cell_text(cell, header))))


def _styled(text: str) -> "Text":
    from rich.text import Text

    return Text(text, style="red" if text.startswith("diverged") else "yellow" if text.startswith("stopped") else "")


def _short(key: str, keys: Label) -> str:
    last = key.rpartition(".")[2]
    twice = sum(str(other).rpartition(".")[2] == last for other in keys) > 1
    vague = last == "name" or key.startswith("data.augment.")  # `size` alone is ambiguous.
    return ".".join(key.split(".")[-2:]) if twice or vague else last
