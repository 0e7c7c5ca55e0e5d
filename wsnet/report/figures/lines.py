"""The metric against the column axis: every seed as a small dot, the median (or mean) of each row as a line."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from wsnet.report.figures.diverged import Strip
from wsnet.report.figures.style import GREY, add_legend, add_title, is_narrow, log_ticks, new_figure, row_style, wrap
from wsnet.report.figures.table import Table, numbers
from wsnet.report.tables.pivot import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_lines", "positions"]


def draw_lines(table: Table) -> "Figure":
    """One line per row, through the medians (or means); the rows are slightly apart, so that none hides another."""
    figure = new_figure(table.width, 2.5 if is_narrow(table.width) else 3.4)
    axes = figure.subplots()
    columns, is_ordered = positions(table.results.header.columns or "", table.pivot.columns)
    log = _is_squeezed(table)
    strip = Strip(table.finite(), used=table.has_diverged, worst_is_high=table.worst_is_high, log=log)
    apart = _apart(sorted(columns.values()), len(table.pivot.rows), table.width)
    handles: list[Any] = []
    for index, row in enumerate(table.pivot.rows):
        shift = (index - (len(table.pivot.rows) - 1) / 2) * apart
        places = sorted((x + shift, column) for column, x in columns.items())
        handles.append(_row(axes, table, strip, row, index, places, joined=is_ordered))
    labels = [table.names[row] for row in table.pivot.rows]
    _label_axes(axes, table, columns, apart * (len(table.pivot.rows) - 1) / 2)
    if log:
        log_ticks(axes, "y", strip.limits)
    strip.finish(axes)
    if not table.seeds:
        axes.text(0.5, 0.5, "no results yet", transform=axes.transAxes, ha="center", color=GREY)
    if table.pivot.published:
        handles.append(_hollow(axes, [], [], {"color": GREY, "marker": "o"}))
        labels.append("published")
    add_legend(figure, handles, labels, below=table.title)
    if table.title:
        add_title(figure, table.results.header.question or table.results.header.name, table.note)
    return figure


def _row(
    axes: "Axes",
    table: Table,
    strip: Strip,
    row: Label,
    index: int,
    places: list[tuple[float, str | None]],
    *,
    joined: bool,
) -> Any:
    """Draw a row; return what stands for it in the legend."""
    style = row_style(index)
    line: list[tuple[float, float]] = []
    for x, column in places:
        cell = table.cell(row, column)
        for published in cell.published if cell is not None else ():
            _hollow(axes, [x], [published.value], style)
        seeds = table.seeds.get((row, column), [])
        if cell is None or cell.summary is None:
            line.append((x, math.nan))  # No line across a gap.
            continue
        finite = [seed for seed in seeds if math.isfinite(seed)]
        if len(seeds) > 1:
            axes.plot([x] * len(finite), finite, "o", ms=2.3, mew=0, color=style["color"], alpha=0.6, gid="seeds")
        middle = table.middle(cell.summary)
        if len(finite) < len(seeds):  # A large cross if the median has diverged, a small one if only seeds have.
            small = math.isfinite(middle)
            cross: dict[str, Any] = {"ms": 3.2, "mew": 0.8} if small else {"ms": 5.5, "mew": 1.4}
            axes.plot([x], [strip.place], "x", color=style["color"], gid="diverged", clip_on=False, **cross)
        line.append((x, middle if math.isfinite(middle) else math.nan))
    xs, ys = [x for x, _ in line], [y for _, y in line]
    drawn = axes.plot(xs, ys, markersize=4.2, mec="white", mew=0.5, gid="middle", **style)[0]
    if not joined:
        drawn.set_linestyle("none")
    return drawn


def _hollow(axes: "Axes", xs: list[float], ys: list[float], style: dict[str, Any]) -> Any:
    """Mark published numbers."""
    return axes.plot(
        xs,
        ys,
        marker=style["marker"],
        color=style["color"],
        fillstyle="none",
        ms=6.5,
        mew=1,
        ls="none",
        gid="published",
    )[0]


def positions(key: str, columns: tuple[str | None, ...]) -> tuple[dict[str | None, float], bool]:
    """Where each column is drawn, and whether a line between two columns means anything: not between two words.

    Numbers stand in their order, and at their logarithms where each is a multiple of the one before.
    """
    values = numbers(key, columns)
    if values is None:
        return {column: float(index) for index, column in enumerate(columns)}, False
    ordered = sorted(zip(values, columns, strict=True), key=lambda pair: pair[0])
    if ordered and ordered[0][0] > 0:
        ratios = [second / first for (first, _), (second, _) in pairwise(ordered) if second > first]
        if ratios and min(ratios) > 1.2 and max(ratios) / min(ratios) < 40 and ordered[-1][0] / ordered[0][0] >= 4:
            unit = math.log(min(ratios))
            return {column: math.log(value / ordered[0][0]) / unit for value, column in ordered}, True
    return {column: float(index) for index, (_, column) in enumerate(ordered)}, True


def _is_squeezed(table: Table) -> bool:
    """Whether a linear axis would leave most of the lines in a small part of it, because a few are much higher."""
    middles = [table.middle(cell.summary) for cell in table.pivot.cells.values() if cell.summary is not None]
    finite = [middle for middle in middles if math.isfinite(middle)]
    if not finite or min(table.finite()) <= 0 or max(finite) < 3 * min(finite) or not table.worst_is_high:
        return False
    high = [middle for middle in finite if middle > min(finite) + 0.35 * (max(finite) - min(finite))]
    return len(high) < 0.25 * len(finite)


def _apart(places: list[float], rows: int, width: float) -> float:
    """The distance between two rows at one column: that of two markers, but the rows of a column stay together."""
    nearest = min((second - first for first, second in pairwise(places)), default=1.0)
    inch = (places[-1] - places[0] + 0.5) / _axes_width(width) if places else 1.0
    return min(0.05 * inch, 0.6 * nearest / max(rows, 1))


def _axes_width(width: float) -> float:
    """About how wide the axes of a figure are, in inches."""
    return width * (0.8 if is_narrow(width) else 0.62)


def _label_axes(axes: "Axes", table: Table, columns: dict[str | None, float], beside: float) -> None:
    texts = {column: table.column_name(column) for column in columns}
    room = int(_axes_width(table.width) / 0.075 / max(len(columns), 1))
    if any(len(word) > room for text in texts.values() for word in text.split()):
        axes.set_xticks(list(columns.values()), [wrap(text, 24) for text in texts.values()])
        axes.tick_params(axis="x", labelrotation=40)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(list(columns.values()), [wrap(text, max(room, 1)) for text in texts.values()])
    if columns:
        low, high = min(columns.values()), max(columns.values())
        margin = beside + (max(0.03 * (high - low), 0.25 if len(columns) < 3 else 0.0) or 0.5)
        axes.set_xlim(low - margin, high + margin)
    axes.set_xlabel(table.columns_name)
    axes.set_ylabel(table.metric_name)
    axes.grid(False, axis="x")
