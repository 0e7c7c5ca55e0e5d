"""`figure.png`: the median of each row against the column axis, in a band from the lowest to the highest seed."""

import io
import json
import math
import textwrap
from typing import TYPE_CHECKING, Any

from wsnet.report.pivot import Label, Pivot
from wsnet.report.results import Results
from wsnet.report.statistics import higher_is_better
from wsnet.report.text import label_text, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["figure_png"]

_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#6A3D9A",
    "#8C564B",
    "#555555",
    "#B8A500",
)
"""Okabe and Ito's, which are safe for the colour-blind, then others."""

_MARKERS, _DASHES = "osD^vPhX<", ("-", "--", "-.", ":")


def figure_png(results: Results, pivot: Pivot) -> bytes:
    """Draw the table."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):  # A dollar sign in a label is a dollar sign.
        return _drawn(results, pivot)


def _drawn(results: Results, pivot: Pivot) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    header = results.header
    tall = len(pivot.rows) if header.columns is None else len(pivot.rows) / 1.6
    figure = Figure(figsize=(8.4, min(max(4.6, 1.6 + 0.34 * tall), 20)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    (_dots if header.columns is None else _lines)(axes, results, pivot)
    title = textwrap.fill(header.question or header.name, 72)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    spread = "" if header.seeds == 1 else f"; median of {header.seeds} seeds, band from lowest to highest"
    spread += "; hollow: published" if pivot.published else ""
    spread += f"; {', '.join(header.over)} chosen on validation" if header.over else ""
    axes.set_title(f"{header.name}{spread}", loc="left", fontsize=9, color="#555555")
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _lines(axes: "Axes", results: Results, pivot: Pivot) -> None:
    """One line per row, against the column axis."""
    header = results.header
    places = sorted(zip(_positions(pivot.columns), pivot.columns, strict=True), key=lambda place: place[0])
    strip = _Strip(pivot, up=not higher_is_better(header.metric))
    for index, row in enumerate(pivot.rows):
        style = _style(index)
        xs: list[float] = []
        medians: list[float] = []
        lows: list[float] = []
        highs: list[float] = []
        for x, column in places:
            cell = pivot.cells.get((row, column))
            for published in cell.published if cell is not None else ():
                _hollow(axes, x, published.value, style)
            if cell is None or cell.summary is None:
                continue
            xs.append(x)
            if cell.summary.diverged:
                strip.cross(axes, x, column, style["color"])
                for values in (medians, lows, highs):
                    values.append(math.nan)
            else:
                medians.append(cell.summary.median)
                lows.append(strip.within(cell.summary.low))
                highs.append(strip.within(cell.summary.high))
        axes.fill_between(xs, lows, highs, color=style["color"], alpha=0.14, linewidth=0)
        axes.vlines(xs, lows, highs, color=style["color"], alpha=0.45, linewidth=1)  # A lone point has no band.
        axes.plot(xs, medians, label=label_text(row, pivot.row_keys), linewidth=1.6, markersize=5, **style)
    strip.finish(axes)
    if not strip.drawn:
        axes.text(0.5, 0.5, "no results yet", transform=axes.transAxes, ha="center", color="#888888")
    _label_axes(axes, results, pivot, places)


def _label_axes(axes: "Axes", results: Results, pivot: Pivot, places: list[tuple[float, str | None]]) -> None:
    texts = [value_text(column) for _, column in places]
    xs = [x for x, _ in places]
    axes.set_xticks(xs, texts)
    if sum(map(len, texts)) > 80:
        axes.tick_params(axis="x", labelrotation=35)
    if xs:
        margin = 0.07 * (max(xs) - min(xs) or 10)
        axes.set_xlim(min(xs) - margin, max(xs) + margin)
    axes.set_xlabel(f"{results.header.columns}{' (log scale)' if _powers_of_two(pivot.columns) else ''}")
    axes.set_ylabel(_metric_text(results.header.metric))
    if pivot.rows:
        title = ", ".join(key.removeprefix("model.") for key in pivot.row_keys)
        legend = axes.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8.5, alignment="left"
        )
        if len(title) < 34:
            legend.set_title(title)
            legend.get_title().set_fontsize(8)


class _Strip:
    """The strip beyond the worst measured value, in which diverged settings are marked."""

    def __init__(self, pivot: Pivot, *, up: bool) -> None:
        summaries = [cell.summary for cell in pivot.cells.values() if cell.summary is not None]
        drawn = [value for each in summaries if not each.diverged for value in (each.low, each.median, each.high)]
        drawn += [published.value for published in pivot.published]
        finite = [value for value in drawn if math.isfinite(value)] or [0.0, 1.0]
        self._low, self._high, self._up = min(finite), max(finite), up
        self.drawn = bool(summaries)
        self._margin = 0.06 * (self._high - self._low or abs(self._high) or 1.0)
        self._y = self._high + 2 * self._margin if up else self._low - 2 * self._margin
        self._used = any(math.isinf(value) for each in summaries for value in (each.low, each.high))
        self._crosses: dict[str | None, int] = {}

    def within(self, value: float) -> float:
        """A value, or the strip's position for one that is not finite."""
        return value if math.isfinite(value) else self._y

    def cross(self, axes: "Axes", x: float, column: str | None, color: str) -> None:
        """Mark a diverged setting, beside any others in its column."""
        count = self._crosses[column] = self._crosses.get(column, 0) + 1
        shift = 8 * (count // 2) * (-1) ** count
        axes.annotate(
            "×",  # noqa: RUF001
            (x, self._y),
            (shift, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=15,
            fontweight="bold",
            color=color,
            annotation_clip=False,
        )

    def finish(self, axes: "Axes") -> None:
        """Set the axis limits, and label the strip if it is used."""
        ends = [self._low - self._margin, self._high + self._margin]
        if self._used:
            edge = ends[1] if self._up else ends[0]
            axes.axhline(edge, color="#888888", linewidth=0.8, linestyle=":")
            ends[1 if self._up else 0] = self._y + (self._margin if self._up else -self._margin)
            ticks = [y for y in axes.get_yticks() if self._low - self._margin <= y <= self._high + self._margin]
            labels = axes.yaxis.get_major_formatter().format_ticks(ticks)
            axes.set_yticks([*ticks, self._y], [*labels, "diverged"])
        axes.set_ylim(*ends)


def _dots(axes: "Axes", results: Results, pivot: Pivot) -> None:
    """One dot per row with the range of its seeds, for a table without a column axis."""
    header = results.header
    for index, row in enumerate(pivot.rows):
        cell, style = pivot.cells.get((row, None)), _style(0)
        for published in cell.published if cell is not None else ():
            _hollow(axes, published.value, index, style)
        if cell is None or cell.summary is None:
            continue
        summary = cell.summary
        if summary.diverged:
            axes.annotate(
                "diverged", (0.99, index), xycoords=("axes fraction", "data"), ha="right", va="center", color="#D55E00"
            )
            continue
        ends = [value for value in (summary.low, summary.high) if math.isfinite(value)]
        axes.plot(
            [min([*ends, summary.median]), max([*ends, summary.median])],
            [index] * 2,
            color=style["color"],
            alpha=0.4,
            lw=5,
        )
        axes.plot(summary.median, index, marker="o", color=style["color"])
        if len(ends) < 2:
            axes.annotate(
                "→ diverged", (max([*ends, summary.median]), index), (8, 0), textcoords="offset points", va="center"
            )
    axes.set_yticks(range(len(pivot.rows)), [label_text(row, pivot.row_keys) for row in pivot.rows])
    axes.set_ylim(len(pivot.rows) - 0.4, -0.6)
    axes.set_xlabel(_metric_text(header.metric))


def _hollow(axes: "Axes", x: float, y: float, style: dict[str, Any]) -> None:
    """Mark a published number."""
    axes.plot(x, y, marker=style["marker"], color=style["color"], fillstyle="none", markersize=7, linestyle="none")


def _style(index: int) -> dict[str, Any]:
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "linestyle": _DASHES[index // len(_COLOURS) % len(_DASHES)],
    }


def _positions(columns: tuple[Label | str | None, ...]) -> list[float]:
    if _powers_of_two(columns):
        return [math.log2(json.loads(str(column))) for column in columns]
    return [float(index) for index in range(len(columns))]


def _powers_of_two(columns: tuple[Any, ...]) -> bool:
    values = [None if column is None else json.loads(column) for column in columns]
    numbers = [
        value for value in values if isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    ]
    return len(values) > 1 and len(numbers) == len(values) and all(math.log2(value).is_integer() for value in numbers)


def _metric_text(metric: str) -> str:
    """`test/top1_error` as `test top-1 error (%)`."""
    text = metric.replace("/", " ").replace("_", " ").replace("top1", "top-1").replace("top5", "top-5")
    return f"{text} (%)" if metric.endswith(("error", "accuracy")) else text
