"""A table of two numeric axes as a map of medians, with the value in each cell."""

import math
from typing import TYPE_CHECKING, Any

from wsnet.report.figures.style import add_legend, add_title, is_narrow, new_figure
from wsnet.report.figures.table import Table, numbers
from wsnet.report.names import axis_name, value_name
from wsnet.report.pivot import Label
from wsnet.report.statistics import higher_is_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_heat_map"]


def draw_heat_map(table: Table) -> "Figure":
    """Medians by row and column, in the order of the numbers; diverged settings are hatched, missing ones empty."""
    from matplotlib.cm import ScalarMappable

    rows, columns = _ordered(table)
    narrow = is_narrow(table.width)
    side = (table.width - (1.15 if narrow else 1.6)) / max(len(columns), 1)
    figure = new_figure(table.width, 0.9 + max(0.22, min(side, 0.5)) * len(rows))
    axes = figure.subplots()
    medians = {
        (row, column): cell.summary.median
        for (row, column), cell in table.pivot.cells.items()
        if cell.summary is not None
    }
    scale, clipped = _scale([value for value in medians.values() if math.isfinite(value)])
    colours = _colours(table.metric)
    small = min(7.0, 72 * side / 3.4)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            _cell(axes, table, (row, column), (x, y), medians.get((row, column)), (scale, colours, small))
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    _label_axes(axes, table, rows, columns, side)
    bar = figure.colorbar(
        ScalarMappable(scale, colours), ax=axes, extend=clipped, aspect=30, pad=0.02, fraction=0.05, shrink=0.95
    )
    bar.set_label(table.metric_name)
    bar.outline.set_linewidth(0.4)
    _legend(figure, table, medians)
    if table.title:
        add_title(figure, table.results.header.question or table.results.header.name, table.note)
    return figure


def _ordered(table: Table) -> tuple[list[Label], list[str | None]]:
    """Rows and columns in the order of their numbers."""
    key = table.pivot.row_keys[0] if table.pivot.row_keys else ""
    heights = numbers(key, [row[0] for row in table.pivot.rows]) or [0.0] * len(table.pivot.rows)
    places = numbers(table.results.header.columns or "", table.pivot.columns) or [0.0] * len(table.pivot.columns)
    rows = [row for _, row in sorted(zip(heights, table.pivot.rows, strict=True), key=lambda pair: pair[0])]
    columns = [column for _, column in sorted(zip(places, table.pivot.columns, strict=True), key=lambda pair: pair[0])]
    return rows, columns


def _scale(values: list[float]) -> tuple[Any, str]:
    """A colour scale, cut off where a few values far from the others would leave these one colour."""
    from statistics import median

    from matplotlib.colors import Normalize

    if not values:
        return Normalize(0, 1), "neither"
    low, high, middle = min(values), max(values), median(values)
    top, bottom = min(high, middle + 3 * (middle - low)), max(low, middle - 3 * (high - middle))
    cut_top, cut_bottom = top < high and middle > low, bottom > low and high > middle
    low, high = bottom if cut_bottom else low, top if cut_top else high
    if low == high:
        low, high = low - 0.5, high + 0.5
    clipped = {(True, True): "both", (True, False): "max", (False, True): "min"}.get((cut_top, cut_bottom), "neither")
    return Normalize(low, high), clipped


def _colours(metric: str) -> Any:
    """Light is good."""
    from matplotlib import colormaps

    return colormaps["cividis" if higher_is_better(metric) else "cividis_r"]


def _cell(
    axes: "Axes",
    table: Table,
    key: tuple[Label, str | None],
    place: tuple[float, float],
    median: float | None,
    look: tuple[Any, Any, float],
) -> None:
    from matplotlib.patches import Rectangle

    (x, y), (scale, colours, size) = place, look
    corner, cell = (x - 0.5, y - 0.5), table.pivot.cells.get(key)
    if median is None:
        axes.add_patch(Rectangle(corner, 1, 1, facecolor="white", edgecolor="#dddddd", lw=0.5, gid="missing"))
        axes.text(x, y, "–", ha="center", va="center", fontsize=size, color="#888888")  # noqa: RUF001
        return
    if math.isinf(median):
        axes.add_patch(Rectangle(corner, 1, 1, fc="#f4f4f4", ec="#999999", hatch="////", lw=0, gid="diverged"))
        return
    colour = colours(scale(median))
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=0.5, gid="cell"))
    luminance = 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
    text = _short(median)
    if cell is not None and cell.stopped:
        text += "\n@" + ",".join(map(str, cell.stopped))
    axes.text(
        x, y, text, ha="center", va="center", fontsize=size, linespacing=0.95, gid="value",
        color="white" if luminance < 0.45 else "black",
    )  # fmt: skip


def _short(value: float) -> str:
    """Three digits."""
    if value and not 0.01 <= abs(value) < 1000:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def _label_axes(axes: "Axes", table: Table, rows: list[Label], columns: list[str | None], side: float) -> None:
    key = table.pivot.row_keys[0]
    texts = [table.column_name(column) for column in columns]
    axes.set_xticks(range(len(columns)), texts)
    axes.set_yticks(range(len(rows)), [value_name(key, row[0]) for row in rows])
    if max(map(len, texts)) * 0.075 > side:
        axes.tick_params(axis="x", labelrotation=90 if side < 0.3 else 40)
        for label in axes.get_xticklabels() if side >= 0.3 else ():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_xlabel(table.columns_name)
    axes.set_ylabel(axis_name(key))
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _legend(figure: "Figure", table: Table, medians: dict[tuple[Label, str | None], float]) -> None:
    from matplotlib.patches import Patch

    entries: list[tuple[Any, str]] = []
    if any(map(math.isinf, medians.values())):
        entries.append((Patch(facecolor="#f4f4f4", edgecolor="#999999", hatch="//////", lw=0), "diverged"))
    if any(cell.stopped for position, cell in table.pivot.cells.items() if position in medians):
        entries.append((Patch(fc="none", ec="none"), "@10: stopped after epoch 10"))
    if not entries:
        return
    if is_narrow(table.width):
        add_legend(figure, [handle for handle, _ in entries], [label for _, label in entries], below=table.title)
        return
    handles, labels = [handle for handle, _ in entries], [label for _, label in entries]
    place: Any = "outside lower right" if table.title else "outside upper right"
    figure.legend(handles, labels, loc=place, ncols=len(entries))
