"""The settings of a plan as a table that fits a terminal: the varied options as columns, an axis of many folded."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wsnet.config.published import CASE
from wsnet.storage import TrialEntry
from wsnet.sweep.formatting import Side

__all__ = ["Fact", "print_settings", "value_text"]

_MOST_ROWS = 40
"""Rows beyond which an axis is folded into one cell with all its values."""
_MOST_VALUES = 12
"""Values of a folded axis beyond which only their number, the first and the last are shown."""

_Row = list[TrialEntry]
"""One trial of each setting of a row."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A column besides the axes.

    Attributes:
        name: its heading.
        text: its cell, from the settings of a row.
        can_go: whether it is left out where the terminal is too narrow.
    """

    name: str
    text: Callable[[_Row], str]
    can_go: bool = True


def print_settings(entries: Sequence[TrialEntry], axes: Sequence[str], facts: Sequence[Fact], console: Console) -> None:
    """Print a row for each setting, or for each group of them where there are more than 40.

    Axis values are never cut: on a narrow terminal they continue on the next line, and facts are left out, the last
    ones first. What is the same in all rows stands above them. Axes of one section stand together.

    Args:
        entries: one trial of each setting.
        axes: dotted keys that vary.
        facts: further columns, the most important ones first.
        console: where to print it.
    """
    rows = _folded(entries, axes)
    covered = _covered(entries, axes)
    sections = list(dict.fromkeys(axis.partition(".")[0] for axis in axes))
    axes = [axis for axis in axes if axis not in covered]
    axes.sort(key=lambda axis: sections.index(axis.partition(".")[0]))  # A norm beside its weights.
    options = {axis: _options(axis, axes) for axis in axes}
    axes = [axis for axis in axes if not any(axis in of for of in options.values())]
    headings = dict(zip(axes, _short(axes), strict=True))
    columns = [(headings[axis], [_cell_with(options[axis], axis, row) for row in rows], False) for axis in axes]
    if not axes:
        columns = [("setting", [row[0].name.rpartition("-s")[0] for row in rows], False)]
    same = []
    for fact in facts:
        cells = [fact.text(row) for row in rows]
        if len(rows) > 1 and len(set(cells)) == 1 and fact.can_go:
            same.append(f"{fact.name} {cells[0]}")
        else:
            columns.append((fact.name, cells, fact.can_go))
    left_out = []
    while _width(columns) > console.width and (going := [c for c in columns if c[2]]):
        left_out.append(going[-1][0])
        columns.remove(going[-1])
    if same:
        console.print(f"In all settings: {', '.join(same)}", highlight=False, markup=False)
    if len(rows) < len(entries):
        console.print(f"{len(entries):,} settings in {len(rows)} rows:", highlight=False)
    _print(columns, len(axes) or 1, console)
    if covered:
        console.print(f"Covered by the case: {', '.join(covered)}", highlight=False, markup=False)
    if left_out:
        names = ", ".join(reversed(left_out))
        console.print(f"Left out at {console.width} columns: {names}", highlight=False, markup=False)


def value_text(value: Any) -> str:
    """A value as a sweep file has it, without quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _folded(entries: Sequence[TrialEntry], axes: Sequence[str]) -> list[_Row]:
    """Groups of settings: of few, each its own; of many, those that differ in the axes with the most values."""
    counts = {axis: len(set(_values(axis, entries))) for axis in axes}
    kept = [axis for axis in axes if counts[axis] > 1]
    rows = [[entry] for entry in entries]
    while len(rows) > _MOST_ROWS and kept:
        kept.remove(max(kept, key=lambda axis: counts[axis]))
        groups: dict[str, _Row] = {}
        for entry in entries:
            groups.setdefault(json.dumps([_values(axis, [entry]) for axis in kept]), []).append(entry)
        rows = list(groups.values())
    return rows


def _covered(entries: Sequence[TrialEntry], axes: Sequence[str]) -> list[str]:
    """The axes without which the label of a case still tells every setting from the others."""

    def count(axes: Sequence[str]) -> int:
        return len({json.dumps([_values(axis, [entry]) for axis in axes]) for entry in entries})

    kept = list(axes)
    for axis in axes if CASE in axes else ():
        fewer = [other for other in kept if other != axis]
        if axis != CASE and count(fewer) == count(axes):
            kept = fewer
    return [axis for axis in axes if axis not in kept]


def _values(axis: str, row: Iterable[TrialEntry]) -> list[str]:
    """The distinct values of an axis in a row, in the file's order; a default where a case leaves it."""
    places = (entry.defaults | place for entry in row for place in entry.places)
    return list(dict.fromkeys(value_text(place[axis]) for place in places if axis in place))


def _options(axis: str, axes: Sequence[str]) -> list[str]:
    """The axes that stand in the cell of another one: the options of a norm beside its name."""
    section, _, last = axis.rpartition(".")
    return [other for other in axes if last == "name" and other != axis and other.startswith(f"{section}.")]


def _cell_with(options: Sequence[str], axis: str, row: _Row) -> str:
    named = [(option.rpartition(".")[2], _cell(option, row)) for option in options if _values(option, row)]
    return ", ".join([_cell(axis, row), *(f"{name} {text}" for name, text in named)])


def _cell(axis: str, row: _Row) -> str:
    values = _values(axis, row)
    if len(values) > _MOST_VALUES:
        try:
            low, high = min(values, key=float), max(values, key=float)
        except ValueError:
            low, high = values[0], values[-1]
        return f"{len(values):,} values, {low} to {high}"
    return ", ".join(values) or "-"


def _short(axes: Sequence[str]) -> list[str]:
    """The last word of each key, or as many as tell it from the others; `model.norm.name` is `norm`."""
    words = [axis.removesuffix(".name").split(".") for axis in axes]
    for count in range(1, 5):
        names = [".".join(parts[-count:]) for parts in words]
        if len(set(names)) == len(names):
            return names
    return list(axes)


def _width(columns: Sequence[tuple[str, list[str], bool]]) -> int:
    return sum(2 + max(map(cell_len, (heading, *cells))) for heading, cells, _ in columns)


def _print(columns: Sequence[tuple[str, list[str], bool]], axes: int, console: Console) -> None:
    table = Table(box=None, padding=(0, 1))
    for position, (heading, cells, _) in enumerate(columns):
        is_axis = position < axes
        word = max(cell_len(word) for cell in cells for word in (cell.split() if is_axis else [cell]))
        justify: Side = "left" if is_axis else "right"
        table.add_column(heading, justify=justify, no_wrap=not is_axis, overflow="fold", min_width=word)
    for row in zip(*(cells for _, cells, _ in columns), strict=True):
        table.add_row(*map(Text, row))
    console.print(table)
