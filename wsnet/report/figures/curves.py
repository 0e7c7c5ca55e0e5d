"""Learning curves: a metric against the epoch, one panel per column or per row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wsnet.report.curves import Curve, Curves
from wsnet.report.figures.style import GREY, MOST_NAMED, add_legend, add_title, is_narrow, new_figure, row_style, wrap
from wsnet.report.figures.table import Table
from wsnet.report.names import axis_name, metric_name
from wsnet.storage.seeds import higher_is_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["NamedCurve", "draw_learning_curves", "draw_overlay"]

_MOST_BANDS = 3
"""Maximum number of bands in a panel: more cannot be told apart."""
_MOST_PANELS = 12


@dataclass(frozen=True)
class _Limits:
    """The ends of the metric's axis, and where diverged seeds are marked on it."""

    low: float
    high: float
    worst: float


@dataclass(frozen=True)
class NamedCurve:
    """A curve and its name in the legend."""

    name: str
    curve: Curve


def draw_learning_curves(table: Table, curves: Curves) -> "Figure":
    """Medians over the seeds by epoch, of the settings that the table shows.

    A panel holds one column of the table, with a line per row. Up to three rows have bands from the lowest to the
    highest seed. Without columns, more than three rows have a panel each, in which the others are grey.
    """
    pivot, metric = table.pivot, table.metric
    found = {
        place: curve
        for place, cell in pivot.cells.items()
        if (curve := curves.by_setting.get(cell.setting_id, {}).get(metric)) is not None
    }
    rows = [row for row in pivot.rows if any(place[0] == row for place in found)]
    columns = [column for column in pivot.columns if any(place[1] == column for place in found)]
    limits = _limits([curve for curve in found.values()], metric)
    if len(columns) < 2 and _MOST_BANDS < len(rows) <= _MOST_PANELS:
        named = [NamedCurve(table.names[row], found[row, columns[0]]) for row in rows]
        figure = _one_each(named, table.width, metric, limits)
    else:
        shown = columns if len(columns) <= _MOST_PANELS else _spread(columns, _MOST_PANELS)
        panels = [[(index, found[row, column]) for index, row in enumerate(rows) if (row, column) in found]
                  for column in shown]  # fmt: skip
        heads = [f"{table.columns_name} {table.column_name(column)}" for column in shown]
        figure = _panels(panels, heads if len(shown) > 1 else [""], table.width, metric, limits)
        _key(figure, [table.names[row] for row in rows], below=table.title)
    if table.title:
        chosen = ", ".join(map(axis_name, table.results.header.over))
        notes = [
            table.results.header.name,
            "median over seeds",
            *([f"{chosen} chosen on validation"] if chosen else []),
        ]
        add_title(figure, table.results.header.question or table.results.header.name, "; ".join(notes))
    return figure


def _key(figure: "Figure", names: Sequence[str], *, below: bool = False) -> None:
    """The legend: the rows, and the cross of a diverged seed where there is one."""
    handles, labels = [_handle(index) for index in range(len(names))] if len(names) > 1 else [], list(names)
    if any(line.get_gid() == "diverged" for axes in figure.axes for line in axes.lines):
        handles, labels = [*handles, _cross()], [*(labels if len(names) > 1 else []), "a seed diverged"]
    add_legend(figure, handles, labels, below=below)


def draw_overlay(curves: Sequence[NamedCurve], metric: str, *, width: float) -> "Figure":
    """Curves of any origin in one panel; up to three have bands from the lowest to the highest seed."""
    panel = [(index, each.curve) for index, each in enumerate(curves)]
    limits = _limits([each.curve for each in curves], metric)
    figure = _panels([panel], [""], width, metric, limits, height=2.2 if is_narrow(width) else 3.2)
    _key(figure, [each.name for each in curves])
    return figure


def _panels(
    panels: Sequence[Sequence[tuple[int, Curve]]],
    heads: Sequence[str],
    width: float,
    metric: str,
    limits: _Limits,
    *,
    height: float = 0.0,
) -> "Figure":
    count = len(panels) or 1
    across = min(count, 2 if is_narrow(width) else 3 if count != 4 else 2)
    down = -(-count // across)
    figure = new_figure(width, height or 0.3 + (2.0 if down == 1 else 1.5) * down)
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes, panel, head in zip(grid.flat, panels, heads, strict=False):
        for index, curve in panel:
            crowded = len(panel) > MOST_NAMED
            _draw(axes, curve, row_style(index), limits, band=len(panel) <= _MOST_BANDS, crowded=crowded)
        if head:
            axes.set_title(head, pad=3)
    _finish(grid, count, metric, limits)
    return figure


def _one_each(curves: Sequence[NamedCurve], width: float, metric: str, limits: _Limits) -> "Figure":
    """A panel for each curve, in which all others are grey."""
    across = 2 if is_narrow(width) else min(4, len(curves))
    down = -(-len(curves) // across)
    figure = new_figure(width, 0.35 + (1.3 if is_narrow(width) else 1.45) * down)
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for index, (axes, each) in enumerate(zip(grid.flat, curves, strict=False)):
        for other in curves:
            if other is not each:
                axes.plot(other.curve.epochs, _drawable(other.curve.median), color="#cccccc", lw=0.6, zorder=1)
        _draw(axes, each.curve, {**row_style(index), "linestyle": "-"}, limits, band=True)
        axes.set_title(wrap(each.name, int(width / across * 15)), pad=3, fontsize=7)
    _finish(grid, len(curves), metric, limits)
    if any(each.curve.diverged.any() for each in curves):
        figure.legend([_cross()], ["a seed diverged"], loc="outside lower right")
    return figure


def _draw(
    axes: "Axes", curve: Curve, style: dict[str, Any], limits: _Limits, *, band: bool, crowded: bool = False
) -> None:
    colour, epochs = style["color"], curve.epochs
    low, high = curve.low, curve.high
    if band and (curve.seeds > 1).any():
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, lw=0, gid="band")
    medians = _drawable(curve.median)
    line = {"lw": 1.0, "ls": style["linestyle"], "color": colour, "gid": "medians"}
    if crowded:
        line |= {"lw": 0.5, "ls": "-", "alpha": 0.5}
    elif len(epochs) < 12:
        line |= {"marker": style["marker"], "ms": 3.2, "mec": "white", "mew": 0.4}
    else:  # A few markers, which tell lines apart without colour.
        line |= {"marker": style["marker"], "ms": 3.2, "mec": "white", "mew": 0.4, "markevery": (0.08, 0.25)}
    axes.plot(epochs, medians, **line)
    lost = np.flatnonzero(np.diff(curve.diverged, prepend=0) > 0)
    if len(lost):  # A cross at the axis' worst end for each epoch in which seeds diverged.
        axes.plot(
            epochs[lost], [limits.worst] * len(lost), "x", ms=4.5, mew=1.2, color=colour, gid="diverged", zorder=3
        )


def _drawable(values: Any) -> Any:
    return np.where(np.isfinite(values), values, math.nan)


def _limits(curves: Sequence[Curve], metric: str) -> _Limits:
    """The metric's axis: from the best value to what most medians are within after the first tenth of the epochs."""
    last = max((float(curve.epochs[-1]) for curve in curves), default=0.0)
    values = [curve.median[np.isfinite(curve.median) & (curve.epochs > 0.1 * last)] for curve in curves]
    every = np.concatenate([np.empty(0), *values])
    if not len(every):
        return _Limits(0.0, 1.0, 1.0)
    if higher_is_better(metric):
        low, high = float(np.quantile(every, 0.01)), float(every.max())
    else:
        low, high = float(every.min()), float(np.quantile(every, 0.99))
    margin = 0.05 * (high - low or abs(high) or 1.0)
    return _Limits(low - margin, high + margin, low - 0.4 * margin if higher_is_better(metric) else high + 0.4 * margin)


def _finish(grid: Any, count: int, metric: str, limits: _Limits) -> None:
    from matplotlib.ticker import MaxNLocator

    grid[0, 0].set_ylim(limits.low, limits.high)
    for index, axes in enumerate(grid.flat):
        if index >= count:
            axes.set_visible(False)
        else:
            _say_what_is_beyond(axes, metric, limits)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        if index >= count - grid.shape[1]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("epoch")
    for row in grid:
        row[0].set_ylabel(metric_name(metric))
    if not any(axes.lines for axes in grid.flat):
        grid[0, 0].text(0.5, 0.5, "no results yet", transform=grid[0, 0].transAxes, ha="center", color=GREY)


def _say_what_is_beyond(axes: "Axes", metric: str, limits: _Limits) -> None:
    """In a corner, how far the medians of a panel go beyond the axis' worst end, which leaves out the first epochs."""
    drawn = [line.get_ydata() for line in axes.lines if line.get_gid() == "medians"]
    values = np.concatenate([np.empty(0), *drawn])
    values = values[np.isfinite(values)]
    best_is_high = higher_is_better(metric)
    beyond = values[values < limits.low if best_is_high else values > limits.high]
    if len(beyond):
        text, y, va = (
            (f"↓ from {beyond.min():.3g}", 0.02, "bottom")
            if best_is_high
            else (f"↑ from {beyond.max():.3g}", 0.98, "top")
        )
        look: dict[str, Any] = {"ha": "right", "va": va, "fontsize": 6, "color": GREY, "gid": "beyond"}
        axes.text(0.98, y, text, transform=axes.transAxes, **look)


def _handle(index: int) -> Any:
    from matplotlib.lines import Line2D

    style = row_style(index)
    return Line2D([], [], ls=style["linestyle"], marker=style["marker"], color=style["color"], ms=3.4, lw=1.1, mew=0)


def _cross() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], ls="none", marker="x", color=GREY, ms=4.5, mew=1.2)


def _spread(columns: Sequence[str | None], count: int) -> list[str | None]:
    """So many of the columns, evenly spaced, with the first and the last."""
    return [columns[round(index * (len(columns) - 1) / (count - 1))] for index in range(count)]
