"""A table as text, whatever it is written as: Markdown, LaTeX, HTML, or lines on a terminal."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wsnet.report.header import Header
from wsnet.report.names import setting_names
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.pivot import Cell, CellKey, Pivot, pivot
from wsnet.report.tables.summaries import fact_of, once
from wsnet.report.tables.text import (
    MISSING,
    caption,
    cell_text,
    duration_text,
    footnote,
    recipe,
    value_of_key,
    value_text,
)
from wsnet.report.verdicts.judge import verdicts

__all__ = ["Table", "tabulate"]

_SMOKE = "This is a smoke run, which shows whether the sweep runs; its values mean nothing."
_BOLD = "Bold: the best of its column, which beats every setting that it was compared with."


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as text.

    Attributes:
        name: the sweep's name.
        title: the question.
        metric: what the cells show, or the first columns'.
        keys: headings of the row labels; empty if there is only one row.
        columns: headings of the cells.
        columns_key: the axis that they are values of; None if they are metrics and facts.
        names: of each row, one name as a paper would have it.
        labels: of each row, one text for each key.
        cells: of each row, one text for each column.
        bold: of each row, whether each cell may be printed in bold, as the best that beats those compared with it.
        caption: sentences.
        verdicts: how the comparisons that the sweep file declares were tested, then a sentence about each; or empty.
        note: what follows the table, in sentences.
    """

    name: str
    title: str
    metric: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    columns_key: str | None
    names: tuple[str, ...]
    labels: list[tuple[str, ...]]
    cells: list[tuple[str, ...]]
    bold: list[tuple[bool, ...]]
    caption: tuple[str, ...]
    verdicts: tuple[str, ...]
    note: tuple[str, ...]


def tabulate(results: Results, quantities: Sequence[str] = (), *, before_choice: str = " ") -> tuple[Table, Pivot]:
    """Arrange results as text.

    Args:
        results: of the sweep, with the rows and columns wanted.
        quantities: metrics and facts that make the columns (see `arrange`); empty for the columns of the results.
        before_choice: separates a cell's value from what was chosen for it.

    Returns:
        the table, and the arrangement of the first metric.
    """
    header, cells = results.header, pivot(results)
    labels = [
        tuple(value_of_key(value, key) for key, value in zip(cells.row_keys, row, strict=True)) for row in cells.rows
    ]
    if quantities:
        columns = tuple(quantities)
        texts = _of_quantities(results, cells, quantities)
        positions: list[tuple[CellKey | None, ...]] = [
            ((row, None), *(None for _ in columns[1:])) for row in cells.rows
        ]
    else:
        columns = tuple(header.metric if header.columns is None else value_text(column) for column in cells.columns)
        if cells.ranked_by is not None:
            columns = (header.metric,)
        positions = [tuple((row, column) for column in cells.columns) for row in cells.rows]
        texts = [
            tuple(cell_text(cells.cells.get(key), header, before_choice=before_choice) for key in keys if key)
            for keys in positions
        ]
    found = verdicts(results, cells)
    about = recipe(header)
    note = _SMOKE if header.is_smoke else footnote(cells, header.compared_elsewhere) if header.compare is None else None
    bold = [tuple(key is not None and found.may_be_bold(*key) for key in keys) for keys in positions]
    return Table(
        name=header.name,
        title=header.question or header.name,
        metric=header.metric,
        keys=cells.row_keys,
        columns=columns,
        columns_key=None if quantities or cells.ranked_by is not None else header.columns,
        names=tuple(setting_names(cells.rows, cells.row_keys).values()),
        labels=labels,
        cells=texts,
        bold=bold,
        caption=tuple(caption(header, cells)),
        verdicts=tuple(found.lines()),
        note=tuple(line for line in (_BOLD if any(map(any, bold)) else "", about, note) if line),
    ), cells


def _of_quantities(results: Results, first: Pivot, quantities: Sequence[str]) -> list[tuple[str, ...]]:
    by_setting: dict[str, list[PlacedTrial]] = {}
    for trial in once(results.trials):
        by_setting.setdefault(trial.setting_id, []).append(trial)
    columns = []
    for quantity in quantities:
        if "/" not in quantity:
            columns.append([_fact(quantity, first.cells[row, None], by_setting) for row in first.rows])
            continue
        other = results.with_metric(quantity)
        cells = pivot(other).cells
        apart = "published" in quantities  # Published numbers then have a column of their own.
        columns.append([_measured(cells.get((row, None)), other.header, apart=apart) for row in first.rows])
    return [tuple(texts) for texts in zip(*columns, strict=True)]


def _measured(cell: Cell | None, header: Header, *, apart: bool) -> str:
    return cell_text(replace(cell, published=()) if cell is not None and apart else cell, header)


def _fact(name: str, cell: Cell, by_setting: dict[str, list[PlacedTrial]]) -> str:
    if name == "published":
        return "; ".join(number.words for number in cell.published) or MISSING
    trials = by_setting.get(cell.setting_id, [])
    values = [value for trial in trials if (value := fact_of(trial, name)) is not None]
    if not values:
        return MISSING
    middle = statistics.median_low(values)
    return duration_text(middle) if name == "training_time" else f"{middle:,}"
