"""A table of two numeric axes as a map of medians (or means), with the value in each cell."""

import math
from typing import TYPE_CHECKING, Any

from wsnet.report.figures.style import add_legend, add_title, is_narrow, new_figure, wrap
from wsnet.report.figures.table import Table, numbers
from wsnet.report.names import axis_name, value_name
from wsnet.report.tables.pivot import Label
from wsnet.storage.seeds import higher_is_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_heat_map"]

_MOST_NAMED = 60


def draw_heat_map(table: Table) -> "Figure":
    """Medians (or means) by row and column; diverged settings are hatched, missing ones empty.

    Numbers stand in their order. Rows that are not the values of one numeric axis have their names.
    """
    from matplotlib.cm import ScalarMappable

    rows, columns = _ordered(table)
    narrow = is_narrow(table.width)
    names = _row_names(table, rows)
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    side = (table.width - 0.055 * longest - (0.75 if narrow else 1.1)) / max(len(columns), 1)
    high = max(0.22, 0.13 * max(name.count("\n") + 1 for name in names), min(side, 0.5 if len(rows) <= 12 else 0.26))
    figure = new_figure(table.width, 0.9 + min(9.0, high * len(rows)))
    axes = figure.subplots()
    middles = {
        (row, column): table.middle(cell.summary)
        for (row, column), cell in table.pivot.cells.items()
        if cell.summary is not None
    }
    scale, clipped = _scale([value for value in middles.values() if math.isfinite(value)])
    colours = _colours(table.metric)
    small = min(7.0, 72 * side / 3.4, 72 * 9.0 / len(rows))
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            _cell(axes, table, (row, column), (x, y), middles.get((row, column)), (scale, colours, small))
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    _label_axes(axes, table, names, columns, side)
    bar = figure.colorbar(
        ScalarMappable(scale, colours), ax=axes, extend=clipped, aspect=30, pad=0.02, fraction=0.05, shrink=0.95
    )
    bar.set_label(table.metric_name)
    bar.outline.set_linewidth(0.4)
    _legend(figure, table, middles)
    if table.title:
        add_title(figure, table.results.header.question or table.results.header.name, table.note)
    return figure


def _ordered(table: Table) -> tuple[list[Label], list[str | None]]:
    """Rows and columns in the order of their numbers."""
    key = table.pivot.row_keys[0] if table.pivot.row_keys else ""
    values = numbers(key, [row[0] for row in table.pivot.rows]) if len(table.pivot.row_keys) == 1 else None
    heights = values or [0.0] * len(table.pivot.rows)
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
    middle: float | None,
    look: tuple[Any, Any, float],
) -> None:
    from matplotlib.patches import Rectangle

    (x, y), (scale, colours, size) = place, look
    corner, cell = (x - 0.5, y - 0.5), table.pivot.cells.get(key)
    if middle is None:
        axes.add_patch(Rectangle(corner, 1, 1, facecolor="white", edgecolor="#dddddd", lw=0.5, gid="missing"))
        axes.text(x, y, "–", ha="center", va="center", fontsize=size, color="#888888")  # noqa: RUF001
        return
    if math.isinf(middle):
        axes.add_patch(Rectangle(corner, 1, 1, fc="#f4f4f4", ec="#999999", hatch="////", lw=0, gid="diverged"))
        return
    colour = colours(scale(middle))
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=0.5, gid="cell"))
    luminance = 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
    text = _short(middle)
    if cell is not None and cell.stopped:
        text += "\n@" + ",".join(map(str, cell.stopped))
    if size < 3.5:
        return
    axes.text(
        x, y, text, ha="center", va="center", fontsize=size, linespacing=0.95, gid="value",
        color="white" if luminance < 0.45 else "black",
    )  # fmt: skip


def _short(value: float) -> str:
    """Three digits."""
    if value and not 0.01 <= abs(value) < 1000:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def _row_names(table: Table, rows: list[Label]) -> list[str]:
    """The values of the rows' only axis if it is numeric, or else their names; nothing where there are too many."""
    keys = table.pivot.row_keys
    if len(rows) > _MOST_NAMED:
        return [""] * len(rows)
    if len(keys) == 1 and numbers(keys[0], [row[0] for row in rows]) is not None:
        return [value_name(keys[0], row[0]) for row in rows]
    return [wrap(table.names[row], 16 if is_narrow(table.width) else 38) for row in rows]


def _label_axes(axes: "Axes", table: Table, names: list[str], columns: list[str | None], side: float) -> None:
    keys = table.pivot.row_keys
    texts = [table.column_name(column) for column in columns]
    axes.set_xticks(range(len(columns)), texts)
    axes.set_yticks(range(len(names)), names)
    if max(map(len, texts)) * 0.075 > side:
        axes.tick_params(axis="x", labelrotation=90 if side < 0.3 else 40)
        for label in axes.get_xticklabels() if side >= 0.3 else ():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_xlabel(table.columns_name)
    if len(keys) == 1:
        axes.set_ylabel(axis_name(keys[0]))
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _legend(figure: "Figure", table: Table, middles: dict[tuple[Label, str | None], float]) -> None:
    from matplotlib.patches import Patch

    entries: list[tuple[Any, str]] = []
    if any(map(math.isinf, middles.values())):
        entries.append((Patch(facecolor="#f4f4f4", edgecolor="#999999", hatch="//////", lw=0), "diverged"))
    if any(cell.stopped for position, cell in table.pivot.cells.items() if position in middles):
        entries.append((Patch(fc="none", ec="none"), "@10: stopped after epoch 10"))
    if not entries:
        return
    if is_narrow(table.width):
        add_legend(figure, [handle for handle, _ in entries], [label for _, label in entries], below=table.title)
        return
    handles, labels = [handle for handle, _ in entries], [label for _, label in entries]
    place: Any = "outside lower right" if table.title else "outside upper right"
    figure.legend(handles, labels, loc=place, ncols=len(entries))
