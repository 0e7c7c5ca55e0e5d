"""The metric against each searched parameter, and against quantities such as the training time."""

import math
from typing import TYPE_CHECKING, Any

from wsnet.report.figures.diverged import Strip
from wsnet.report.figures.style import GREY, add_legend, add_title, is_narrow, log_ticks, new_figure, row_style
from wsnet.report.figures.table import Table, numbers
from wsnet.report.names import axis_name, metric_name, setting_names
from wsnet.report.tables.pivot import Label
from wsnet.storage.seeds import higher_is_better, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_against_fact", "draw_scatter", "is_log"]

_MOST_GROUPS, _MOST_PANELS, _MOST_NAMED = 8, 9, 30

_FACTS = {"training_seconds": "training time", "parameters": "parameters"}


def draw_scatter(table: Table, searched: list[str]) -> "Figure":
    """A panel for each searched parameter and a point for each setting, coloured by what else differs.

    Where the sweep chooses among the settings, this shows the metric that decides, of every candidate.
    """
    from matplotlib.ticker import MaxNLocator

    shown = searched[:_MOST_PANELS]
    across = min(len(shown), 2 if is_narrow(table.width) else 3)
    down = -(-len(shown) // across)
    figure = new_figure(table.width, 0.35 + (1.6 if is_narrow(table.width) else 2.2) * down)
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    select = table.results.header.select
    metric = table.metric if select is None else select.by
    values = _values(table, metric)
    groups, names = _groups(table, searched)
    finite = [value for seeds in values.values() for value in seeds if math.isfinite(value)]
    log = bool(finite) and is_log(finite, decades=1.3)
    strip = Strip(
        finite, used=any(math.isinf(v) for seeds in values.values() for v in seeds), log=log,
        worst_is_high=not higher_is_better(metric),
    )  # fmt: skip
    for axes, axis in zip(grid.flat, shown, strict=False):
        _panel(axes, table, axis, values, groups, strip)
        axes.margins(x=0.06)
        xs = [float(x) for line in axes.lines for x in line.get_xdata()]
        if is_log(xs):
            log_ticks(axes, "x", (min(xs), max(xs)), most=3 if is_narrow(table.width) else 4)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
    for row in grid:
        row[0].set_ylabel(metric_name(metric))
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    first = grid.flat[0]
    if log:
        log_ticks(first, "y", strip.limits)
    strip.finish(first)
    for axes in grid.flat[1 : len(shown)]:
        if strip.used:
            axes.axhspan(*_beyond(first, strip), color="#f1f1f1", lw=0, zorder=0)
    if len(names) > 1:
        handles = [_handle(index) for index in range(len(names))]
        add_legend(figure, handles, names, below=table.title)
    if table.title:
        add_title(figure, table.results.header.question or table.results.header.name, table.note)
    return figure


def _beyond(axes: "Axes", strip: Strip) -> tuple[float, float]:
    """The strip's ends."""
    from matplotlib.patches import Rectangle

    patch = next(patch for patch in axes.patches if isinstance(patch, Rectangle))
    return patch.get_y(), patch.get_y() + patch.get_height()


def _panel(
    axes: "Axes", table: Table, axis: str, values: dict[str, list[float]], groups: dict[str, int], strip: Strip
) -> None:
    settings = {trial.setting_id: trial.shown(axis) for trial in table.results.trials}
    there = [name for name in values if settings[name] is not None]
    xs = numbers(axis, [settings[name] for name in there]) or []
    by_group: dict[int, list[tuple[float, list[float]]]] = {}
    for name, x in zip(there, xs, strict=True):
        by_group.setdefault(groups.get(name, 0), []).append((x, values[name]))
    for group, points in by_group.items():
        _points(axes, table, points, strip, row_style(group))
    axes.set_xlabel(axis_name(axis))


def _points(
    axes: "Axes", table: Table, points: list[tuple[float, list[float]]], strip: Strip, style: dict[str, Any]
) -> None:
    """Every seed as a small dot, and the median (or mean) of each setting."""
    colour = style["color"]
    several = [(x, seed) for x, seeds in points for seed in seeds if len(seeds) > 1 and math.isfinite(seed)]
    middles = [(x, table.middle(seeds)) for x, seeds in points]
    finite = [(x, y) for x, y in middles if math.isfinite(y)]
    lost = [(x, strip.place) for x, y in middles if math.isinf(y)]
    look: dict[str, Any] = {"ls": "none", "color": colour}
    axes.plot(*_two(several), marker="o", ms=2, mew=0, alpha=0.5, gid="seeds", **look)
    axes.plot(*_two(finite), marker=style["marker"], ms=4.2, mec="white", mew=0.4, gid="middle", **look)
    axes.plot(*_two(lost), marker="x", ms=4, mew=1.1, gid="diverged", **look)


def _two(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _values(table: Table, metric: str) -> dict[str, list[float]]:
    """The values of each setting's seeds, infinite for a diverged one."""
    trials = {trial.trial_id: trial for trial in table.results.trials}.values()
    found: dict[str, list[float]] = {}
    for trial in trials:
        value = value_of(trial.status, trial.metrics.get(metric), metric)
        if value is not None:
            found.setdefault(trial.setting_id, []).append(value)
    return found


def _groups(table: Table, searched: list[str]) -> tuple[dict[str, int], list[str]]:
    """The group of each setting by what differs besides the searched parameters, and the groups' names."""
    header = table.results.header
    keys = [axis for axis in header.axes if axis not in searched]
    labels = {trial.setting_id: tuple(trial.shown(key) for key in keys) for trial in table.results.trials}
    names = setting_names(labels.values(), keys)
    if not 1 < len(names) <= _MOST_GROUPS:
        return {}, []
    # In the order of the table's rows, so that a norm has one colour on a page.
    order = sorted(names, key=lambda label: _first_row(table, {s for s, found in labels.items() if found == label}))
    return {setting: order.index(label) for setting, label in labels.items()}, [names[label] for label in order]


def _first_row(table: Table, settings: set[str]) -> int:
    rows = {row: index for index, row in enumerate(table.pivot.rows)}
    return min((rows[row] for (row, _), cell in table.pivot.cells.items() if cell.setting_id in settings), default=0)


def draw_against_fact(table: Table, fact: str) -> "Figure":
    """The metric against a quantity of the settings, such as their training time; one colour per row."""
    figure = new_figure(table.width, 2.4 if is_narrow(table.width) else 3.2)
    axes = figure.subplots()
    strip = Strip(table.finite(), used=table.has_diverged, worst_is_high=table.worst_is_high)
    xs: list[float] = []
    by_row: dict[Label, list[tuple[float, list[float]]]] = {}
    divisor, unit = _unit(fact, [each[fact] for each in table.facts.values() if fact in each])
    for (row, column), seeds in table.seeds.items():
        x = table.facts.get(table.pivot.cells[row, column].setting_id, {}).get(fact)
        if x is not None:
            xs.append(x / divisor)
            by_row.setdefault(row, []).append((xs[-1], seeds))
    rows = {row: index for index, row in enumerate(table.pivot.rows) if row in by_row}  # Colours as in other figures.
    for row, index in rows.items():
        _points(axes, table, by_row[row], strip, row_style(index))
    _name_columns(axes, table, fact, divisor)
    axes.margins(x=0.06)
    axes.set_xlabel(f"{_FACTS.get(fact, fact.replace('_', ' '))}{unit}")
    axes.set_ylabel(table.metric_name)
    if is_log(xs):
        log_ticks(axes, "x", (min(xs), max(xs)))
    strip.finish(axes)
    if not xs:
        axes.text(0.5, 0.5, "no results yet", transform=axes.transAxes, ha="center", color=GREY)
    add_legend(
        figure,
        [_handle(index) for index in rows.values()],
        [table.names[row] for row in rows],
        below=table.title,
    )
    if table.title:
        add_title(figure, table.results.header.question or table.results.header.name, table.note)
    return figure


def _name_columns(axes: "Axes", table: Table, fact: str, divisor: float) -> None:
    """The column's value beside each cell, where there are few enough: a row has a point for each column."""
    if len(table.pivot.columns) < 2 or len(table.seeds) > _MOST_NAMED:
        return
    for (row, column), seeds in table.seeds.items():
        x = table.facts.get(table.pivot.cells[row, column].setting_id, {}).get(fact)
        middle = table.middle(seeds)
        if x is not None and math.isfinite(middle):
            look: dict[str, Any] = {"fontsize": 6, "color": GREY, "gid": "column"}
            axes.annotate(table.column_name(column), (x / divisor, middle), (4, 2), textcoords="offset points", **look)
    look = {"ha": "right", "va": "top", "fontsize": 6, "color": GREY}
    axes.text(0.99, 0.99, f"beside the points: {table.columns_name}", transform=axes.transAxes, **look)


def _unit(fact: str, values: list[float]) -> tuple[float, str]:
    """What values are divided by so that they are easy to read, and the unit that they then have."""
    largest = max(values, default=0)
    if fact == "training_seconds":
        return (3600, " (hours)") if largest >= 7200 else (60, " (minutes)") if largest >= 180 else (1, " (seconds)")
    return (1e6, " (millions)") if largest >= 1e6 else (1, "")


def _handle(index: int) -> Any:
    from matplotlib.lines import Line2D

    style = row_style(index)
    return Line2D([], [], ls="none", marker=style["marker"], color=style["color"], ms=4.2, mew=0)


def is_log(values: list[float], *, decades: float = 1.5) -> bool:
    """Whether values are positive and span so many powers of ten."""
    return bool(values) and min(values) > 0 and math.log10(max(values) / min(values)) >= decades
