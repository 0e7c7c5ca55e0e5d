"""The table on a terminal, wide or narrow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wsnet.report.results import Results
from wsnet.report.tables.pivot import SETTING
from wsnet.report.tables.table import Table, tabulate
from wsnet.report.tables.text import MISSING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["print_table"]


def print_table(results: Results, console: "Console", *, quantities: Sequence[str] = ()) -> None:
    """Print the cells of `table.md`: as a table if it fits, with cells on two lines if necessary, or else as a list."""
    from rich.markup import escape
    from rich.text import Text

    table, _ = tabulate(results, quantities)
    console.print(f"[bold]{escape(table.title)}[/bold]", highlight=False)
    if not table.labels:
        console.print("No trial has started yet.", highlight=False)
        return
    if not _print_table(table, console) and not _print_table(table, console, tall=True):
        _print_narrow(table, console)
    for verdict in table.verdicts:
        console.print(Text(verdict))
    for line in (*table.caption, *table.note):
        console.print(Text(line, style="dim"))


def _print_table(table: Table, console: "Console", *, tall: bool = False) -> bool:
    """Print a table if it fits, with the range below the median if `tall`; return whether it was printed."""
    from rich.box import SIMPLE_HEAD
    from rich.measure import Measurement
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for key in table.keys or ("",):
        # Short headings: the last part of a key, unless two share it.
        drawn.add_column(Text(_short(key, table.keys)), no_wrap=True)
    for column in table.columns:
        drawn.add_column(Text(column), justify="right", no_wrap=True)
    for label, cells in zip(table.labels, table.cells, strict=True):
        if tall:
            cells = tuple(text.replace(" [", "\n[").replace(" (", "\n(").replace(" at ", "\nat ") for text in cells)
        drawn.add_row(*map(_styled, [*(label or ("all",)), *cells]))
    if Measurement.get(console, console.options.update(max_width=10_000), drawn).maximum > console.width:
        return False
    console.print(drawn)
    return True


def _print_narrow(table: Table, console: "Console") -> None:
    from rich.text import Text

    for label, cells in zip(table.labels, table.cells, strict=True):
        console.print(Text(_label_text(label, table.keys), style="bold"))
        for heading, text in zip(table.columns, cells, strict=True):
            if text != MISSING:
                shown = f"{heading}: " if len(table.columns) > 1 else ""
                console.print(Text("  " + shown).append_text(_styled(text)))


def _label_text(label: Sequence[str], keys: Sequence[str]) -> str:
    """A row in one short line: words as they are, numbers with the last part of their key."""
    parts = []
    for text, key in zip(label, keys, strict=True):
        if text != MISSING:
            is_word = key == SETTING or text[:1].isalpha()
            parts.append(text if is_word else f"{key.rpartition('.')[2]}={text}")
    return ", ".join(parts) or "all"


def _styled(text: str) -> "Text":
    from rich.text import Text

    return Text(text, style="red" if text.startswith("diverged") else "yellow" if text.startswith("stopped") else "")


def _short(key: str, keys: Sequence[str]) -> str:
    last = key.rpartition(".")[2]
    twice = sum(other.rpartition(".")[2] == last for other in keys) > 1
    vague = last == "name" or key.startswith("data.augment.")  # `size` alone is ambiguous.
    return ".".join(key.split(".")[-2:]) if twice or vague else last
