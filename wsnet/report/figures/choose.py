"""Which figures make sense for which results."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wsnet.report.figures.style import styled
from wsnet.report.figures.table import Facts, Table, numbers
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.pivot import Pivot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from wsnet.report.curves import Curves

__all__ = ["chosen", "main_kind", "searched_axes"]

Draw = Callable[[], "Figure"]

_MOST_LINES = 16
"""Maximum number of lines that can be told apart."""
_MOST_DOTS = 60
"""Maximum number of cells in a strip plot beside another main figure."""


def chosen(
    results: Results, pivot: Pivot, curves: "Curves | None", *, facts: Facts, title: bool, width: float
) -> dict[str, Draw]:
    """See `wsnet.report.figures.figures`."""
    from wsnet.report.figures.rungs import draw_rungs, was_stopped
    from wsnet.report.figures.scatter import draw_against_fact, draw_scatter

    if curves is not None and curves.seconds:
        facts = {name: {"training_seconds": curves.seconds[name], **facts.get(name, {})} for name in curves.seconds} | {
            name: found for name, found in facts.items() if name not in curves.seconds
        }
    table = Table(results, pivot, facts, title=title, width=width)
    main = main_kind(table)
    searched = searched_axes(table)
    kinds: dict[str, Draw] = {"figure": _drawer(main, table)}
    if main == "heat_map" and len(pivot.rows) <= 12:
        kinds["figure-lines"] = _drawer("lines", table)
    if main not in ("strip", "scatter") and len(pivot.cells) <= _MOST_DOTS:
        kinds["figure-strip"] = _drawer("strip", table)
    if main != "scatter" and searched and (results.header.over or len(searched) > 1):
        kinds["figure-scatter"] = _styled(lambda: draw_scatter(table, searched))
    if curves is not None and results.header.metric in curves.metrics:
        kinds["figure-curves"] = _curves(table, curves)
    for name, fact in (("figure-time", "training_seconds"), ("figure-parameters", "parameters")):
        if len({table.facts.get(cell.setting_id, {}).get(fact) for cell in pivot.cells.values()} - {None}) > 1:
            kinds[name] = _styled(lambda fact=fact: draw_against_fact(table, fact))  # type: ignore[misc]
    if was_stopped(table):
        kinds["figure-rungs"] = _styled(lambda: draw_rungs(table))
    return kinds


def main_kind(table: Table) -> str:
    """The figure that answers the question: `heat_map`, `lines`, `scatter` or `strip`.

    A heat map is for two numeric axes with at least four values each, or for more rows than lines can show; a scatter
    plot for settings that were drawn at random, which have hardly a value in common.
    """
    header, pivot = table.results.header, table.pivot
    if _is_random(table):
        return "scatter"
    if header.columns is None or len(pivot.columns) < 2:
        return "strip"
    if len(pivot.rows) > _MOST_LINES:
        return "heat_map"
    keys = pivot.row_keys
    if len(keys) == 1 and len(pivot.rows) >= 4 and len(pivot.columns) >= 4 and not pivot.published:
        heights, places = numbers(keys[0], [row[0] for row in pivot.rows]), numbers(header.columns, pivot.columns)
        if heights is not None and places is not None:
            return "heat_map"
    return "lines"


def searched_axes(table: Table) -> list[str]:
    """Numeric axes on which hardly two settings have the same value, and those that the sweep chooses over."""
    settings = list({trial.setting_id: _shown(trial, table) for trial in table.results.trials}.values())
    found = []
    for axis in table.results.header.axes:
        values = [axes[axis] for axes in settings if axes[axis] is not None]
        distinct = len(set(values))
        drawn = distinct >= 6 and distinct >= 0.8 * len(values)
        if (drawn or (axis in table.results.header.over and distinct >= 4)) and numbers(axis, values) is not None:
            found.append(axis)
    return found


def _is_random(table: Table) -> bool:
    """Whether settings were drawn at random: hardly two have the same value on an axis, though others vary as well.

    Where words tell all of them apart too, they are cases that someone has listed.
    """
    header, settings = table.results.header, {trial.setting_id: _shown(trial, table) for trial in table.results.trials}
    counts = {axis: len({axes[axis] for axes in settings.values()}) for axis in header.axes}
    searched = [axis for axis in searched_axes(table) if axis not in header.over]
    listed = any(count >= 0.8 * len(settings) for axis, count in counts.items() if axis not in searched)
    return bool(searched) and sum(count > 1 for count in counts.values()) > 1 and not listed and not header.over


def _shown(trial: PlacedTrial, table: Table) -> dict[str, str | None]:
    return {axis: trial.shown(axis) for axis in table.results.header.axes}


def _drawer(kind: str, table: Table) -> Draw:
    def draw() -> Any:
        from wsnet.report.figures.heat_map import draw_heat_map
        from wsnet.report.figures.lines import draw_lines
        from wsnet.report.figures.scatter import draw_scatter
        from wsnet.report.figures.strip import draw_strip

        if kind == "scatter":
            return draw_scatter(table, searched_axes(table))
        return {"heat_map": draw_heat_map, "lines": draw_lines, "strip": draw_strip}[kind](table)

    return _styled(draw)


def _curves(table: Table, curves: "Curves") -> Draw:
    def draw() -> Any:
        from wsnet.report.figures.curves import draw_learning_curves

        return draw_learning_curves(table, curves)

    return _styled(draw)


def _styled(draw: Draw) -> Draw:
    def drawn() -> Any:
        with styled():
            return draw()

    return drawn
