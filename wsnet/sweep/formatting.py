"""What is printed on a terminal: tables of text, times, sizes, and the epochs that a scheduler has saved."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

__all__ = ["Side", "TrialEpochs", "describe_savings", "duration", "print_table", "readable_size"]

Side = Literal["left", "right"]

_MOST_ROWS = 100
"""Rows that rich lays out: it takes about 1 ms for each."""


def print_table(columns: Mapping[str, Side], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table.

    Args:
        columns: heading of each column, and at which side its cells are aligned.
        rows: the cells of each row. A table of more than 100 rows is not fitted to the width of the terminal.
        console: where to print it.
    """
    if len(rows) > _MOST_ROWS:
        _print_unfitted(columns, rows, console)
        return
    table = Table(box=None, padding=(0, 1))
    for heading, side in columns.items():
        table.add_column(heading, justify=side)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_unfitted(columns: Mapping[str, Side], rows: Sequence[Sequence[str]], console: Console) -> None:
    widths = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    shape = list(zip(widths, columns.values(), strict=True))

    def line(cells: Sequence[str]) -> str:
        return "".join(_padded(cell, width, side) for cell, (width, side) in zip(cells, shape, strict=True))

    text = "".join(f"{line(row)}\n" for row in rows)
    lines = Segments([Segment(line(list(columns)), console.get_style("table.header")), Segment.line(), Segment(text)])
    console.print(lines, crop=False, end="")


def _padded(cell: str, width: int, side: Side) -> str:
    space = " " * (width - cell_len(cell))
    return f" {cell}{space} " if side == "left" else f" {space}{cell} "


def duration(seconds: float) -> str:
    """`45 s`, `2.5 min`, `3.0 hours`, `2.1 days`."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def readable_size(size: float) -> str:
    """Bytes in powers of 1000: `12 B`, `345 kB`, `1.2 TB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@dataclass(frozen=True, kw_only=True)
class TrialEpochs:
    """What a trial was trained for.

    Attributes:
        setting_id: its setting.
        trained: epochs done.
        full: epochs of the whole training.
        is_stopped: whether the scheduler has stopped it.
    """

    setting_id: str
    trained: int
    full: int
    is_stopped: bool


def describe_savings(trials: Iterable[TrialEpochs]) -> str:
    """`scheduler: 108 of 648 epochs trained; 540 saved by stopping 18 of 24 trials (6 of 8 settings)`.

    Args:
        trials: every trial of a sweep.
    """
    trials = list(trials)
    stopped = [trial for trial in trials if trial.is_stopped]
    done, full = sum(trial.trained for trial in trials), sum(trial.full for trial in trials)
    saved = sum(trial.full - trial.trained for trial in stopped)
    settings = len({trial.setting_id for trial in trials})
    of_settings = f"{len({trial.setting_id for trial in stopped})} of {settings} settings"
    what = f"stopping {len(stopped)} of {len(trials)} trials ({of_settings})"
    return f"scheduler: {done:,} of {full:,} epochs trained; {saved:,} saved by {what}"
