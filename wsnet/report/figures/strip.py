"""The final values by setting: every seed as a dot, the median (or mean) as a bar, the published value as a tick."""

import math
from typing import TYPE_CHECKING

from wsnet.report.figures.diverged import Strip
from wsnet.report.figures.style import COLOURS, GREY, add_legend, add_title, is_narrow, new_figure, stacked, wrap
from wsnet.report.figures.table import Table
from wsnet.report.tables.pivot import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_strip"]

_MOST_NAMED = 80
_SEED, _MIDDLE, _PUBLISHED, _DIVERGED = COLOURS[0], "#111111", COLOURS[1], "#8A3A00"


def draw_strip(table: Table) -> "Figure":
    """One line of dots per cell, in the order of the table; the columns of a row are together."""
    from matplotlib.ticker import MaxNLocator

    rows = [(row, [column for column in table.pivot.columns if table.cell(row, column)]) for row in table.pivot.rows]
    places = [(row, column) for row, columns in rows for column in columns]
    narrow = is_narrow(table.width)
    is_nested = table.results.header.columns is not None
    names = [table.column_name(column) if is_nested else table.names[row] for row, column in places]
    names = [wrap(name, 22 if narrow else 38) for name in names]
    ys, lines = stacked(names)
    named = len(places) <= _MOST_NAMED
    height = (0.115 if is_nested else 0.14) * lines
    figure = new_figure(table.width, 0.75 + (min(8.2, height) if is_nested or not named else height))
    axes = figure.subplots()
    strip = Strip(table.finite(), used=table.has_diverged, worst_is_high=table.worst_is_high)
    for y, (row, column) in zip(ys, places, strict=True):
        _line(axes, table, strip, row, column, y)
    axes.set_yticks(ys if named else [], names if named else [])
    axes.set_ylim(lines + 0.15, -0.15)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(table.metric_name)
    axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 9))
    strip.finish(axes, "x")
    if not named:
        axes.set_ylabel(f"{len(places)} settings, in the order of the table")
    elif is_nested:
        _name_groups(axes, table, rows, ys, longest=max(map(len, names), default=0))
    _legend(figure, table)
    if not table.seeds:
        axes.text(0.5, 0.5, "no results yet", transform=axes.transAxes, ha="center", color=GREY)
    if table.title:
        add_title(figure, table.results.header.question or table.results.header.name, table.note)
    return figure


def _name_groups(
    axes: "Axes", table: Table, rows: list[tuple[Label, list[str | None]]], ys: list[float], *, longest: int
) -> None:
    """The rows' names beside those of their columns, with lines between the rows."""
    first = 0
    for row, columns in rows:
        own = ys[first : first + len(columns)]
        axes.annotate(
            wrap(table.names[row], 16 if is_narrow(table.width) else 28),
            (0, (own[0] + own[-1]) / 2),
            (-4.6 * longest - 10, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=7,
            gid="row",
        )
        if first:
            axes.axhline((ys[first - 1] + own[0]) / 2, color="#bbbbbb", lw=0.5)
        first += len(columns)
    axes.annotate(
        table.columns_name,
        (0, 1),
        (-4, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=7,
        color="#555555",
        gid="head",
    )


def _line(axes: "Axes", table: Table, strip: Strip, row: Label, column: str | None, y: float) -> None:
    cell, seeds = table.cell(row, column), table.seeds.get((row, column), [])
    if cell is None:
        return
    for published in cell.published:
        axes.plot([published.value] * 2, [y - 0.6, y + 0.6], color=_PUBLISHED, lw=1.2, gid="published")
        axes.plot(published.value, y - 0.6, marker=11, ms=4, color=_PUBLISHED, mew=0, gid="tip")
    if cell.summary is None:
        axes.annotate(
            "stopped" if cell.stopped else "no result",
            (0.02, y),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7,
            color=GREY,
        )
        return
    finite = sorted(seed for seed in seeds if math.isfinite(seed))
    middle = table.middle(cell.summary)
    if math.isfinite(middle) and len(seeds) > 1:
        ends = [y - 0.52, y + 0.52]
        axes.plot([middle] * 2, ends, color=_MIDDLE, lw=1.6, solid_capstyle="butt", gid="middle")
    for x, shift in zip(finite, _beside(len(finite)), strict=True):
        axes.plot(x, y + shift, "o", ms=3.4, mec="white", mew=0.3, color=_SEED, alpha=0.85, gid="seeds", zorder=3)
    diverged = len(seeds) - len(finite)
    if diverged:
        text = f"{diverged}/{len(seeds)}" if len(seeds) > 1 else "×"  # noqa: RUF001
        axes.text(strip.place, y, text, ha="center", va="center", fontsize=7, color=_DIVERGED, gid="diverged")


def _beside(count: int) -> list[float]:
    """Shifts, in lines, of so many seeds in the order of their values, so that neighbours do not hide each other."""
    return [0.0] if count == 1 else [(0.0, 0.28, -0.28)[index % 3] for index in range(count)]


def _legend(figure: "Figure", table: Table) -> None:
    from matplotlib.lines import Line2D

    entries = []
    if any(len(seeds) > 1 for seeds in table.seeds.values()):
        entries.append((Line2D([], [], marker="o", ls="none", ms=3.4, mew=0, color=_SEED, alpha=0.65), "one seed"))
        entries.append(
            (Line2D([], [], marker="|", ls="none", ms=8, mew=1.8, color=_MIDDLE), table.results.header.statistic)
        )
    if table.pivot.published:
        entries.append((Line2D([], [], marker="|", ls="none", ms=9, mew=1.2, color=_PUBLISHED), "published"))
    add_legend(figure, [handle for handle, _ in entries], [label for _, label in entries], below=table.title)
