"""The final values by setting: every seed as a dot, the median as a bar, the published value as a tick."""

import math
from typing import TYPE_CHECKING

from wsnet.report.figures.diverged import Strip
from wsnet.report.figures.style import COLOURS, GREY, add_legend, add_title, is_narrow, new_figure, wrap
from wsnet.report.figures.table import Table
from wsnet.report.pivot import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_strip"]

_SEED, _MEDIAN, _PUBLISHED = COLOURS[0], "#111111", COLOURS[1]


def draw_strip(table: Table) -> "Figure":
    """One line of dots per cell, in the order of the table."""
    places = [(row, column) for row in table.pivot.rows for column in table.pivot.columns if table.cell(row, column)]
    names = [wrap(table.cell_names[place], 22 if is_narrow(table.width) else 38) for place in places]
    lines = sum(max(1.5, 1.15 * (name.count("\n") + 1)) for name in names)
    figure = new_figure(table.width, 0.75 + 0.135 * lines)
    axes = figure.subplots()
    strip = Strip(table.finite(), used=table.has_diverged, worst_is_high=table.worst_is_high)
    for index, (row, column) in enumerate(places):
        _line(axes, table, strip, row, column, index)
    axes.set_yticks(range(len(places)), names)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(table.metric_name)
    strip.finish(axes, "x")
    _legend(figure, axes, table)
    if not table.seeds:
        axes.text(0.5, 0.5, "no results yet", transform=axes.transAxes, ha="center", color=GREY)
    if table.title:
        add_title(figure, table.results.header.question or table.results.header.name, table.note)
    return figure


def _line(axes: "Axes", table: Table, strip: Strip, row: Label, column: str | None, index: int) -> None:
    cell, seeds = table.cell(row, column), table.seeds.get((row, column), [])
    if cell is None:
        return
    for published in cell.published:
        axes.plot([published.value] * 2, [index - 0.42, index + 0.42], color=_PUBLISHED, lw=1.2, gid="published")
        axes.plot(published.value, index - 0.42, marker=11, ms=4, color=_PUBLISHED, mew=0, gid="tip")
    if cell.summary is None:
        axes.annotate(
            "stopped" if cell.stopped else "no result",
            (0.02, index),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7,
            color=GREY,
        )
        return
    for x, shift in _beside(seeds, strip):
        if x == strip.place and math.isinf(max(seeds, key=abs)):
            axes.plot(x, index + shift, "x", ms=3.6, mew=1.1, color=_SEED, gid="diverged")
        else:
            axes.plot(x, index + shift, "o", ms=3.4, mew=0, color=_SEED, alpha=0.65, gid="seeds")
    median = strip.within(cell.summary.median)
    axes.plot([median] * 2, [index - 0.3, index + 0.3], color=_MEDIAN, lw=1.8, solid_capstyle="butt", gid="medians")


def _beside(seeds: list[float], strip: Strip) -> list[tuple[float, float]]:
    """Seeds beside each other where they would hide one another: x, and the shift in lines."""
    drawn = sorted(strip.within(seed) for seed in seeds)
    if len(drawn) < 2:
        return [(x, 0.0) for x in drawn]
    steps = (0.0, 0.2, -0.2)
    return [(x, steps[index % 3]) for index, x in enumerate(drawn)]


def _legend(figure: "Figure", axes: "Axes", table: Table) -> None:
    from matplotlib.lines import Line2D

    entries = []
    if any(len(seeds) > 1 for seeds in table.seeds.values()):
        entries.append((Line2D([], [], marker="o", ls="none", ms=3.4, mew=0, color=_SEED, alpha=0.65), "one seed"))
        entries.append((Line2D([], [], marker="|", ls="none", ms=8, mew=1.8, color=_MEDIAN), "median"))
    if table.pivot.published:
        entries.append((Line2D([], [], marker="|", ls="none", ms=9, mew=1.2, color=_PUBLISHED), "published"))
    add_legend(figure, [handle for handle, _ in entries], [label for _, label in entries])
