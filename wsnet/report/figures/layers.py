"""`layers.png`: one map of depth against epochs for each setting (row) and quantity (column)."""

import io
import math
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from wsnet.report.layers import LayersOfSetting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

__all__ = ["MOST_ROWS", "layers_png"]

MOST_ROWS = 8
"""Maximum number of settings in one figure; more would be too small to read."""

TITLES = {
    "activation_mean": "input mean",
    "activation_variance": "input variance",
    "output_mean": "output mean",
    "output_variance": "output variance",
    "running_mean_drift": "drift of\nrunning mean",
    "running_variance_drift": "drift of\nrunning variance",
    "gradient_norm": "gradient norm",
    "effective_lr": "effective\nlearning rate",
}
"""Quantities in the order of the columns; any others come last, under their own names."""

_NOT_FINITE, _GREY = "#D55E00", "#777777"
_DECADES = 6
"""Maximum powers of ten on a colour scale, so that a single tiny value does not flatten the rest."""

Map = np.ndarray[Any, np.dtype[np.float64]]


def layers_png(settings: Sequence[LayersOfSetting]) -> bytes:
    """Draw the first settings; each column has one logarithmic colour scale, so that its rows can be compared."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):  # A dollar sign in a label is a dollar sign.
        return _drawn(settings)


def _drawn(settings: Sequence[LayersOfSetting]) -> bytes:
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = settings[:MOST_ROWS]
    there = dict.fromkeys(quantity for setting in drawn for quantity in setting.layers)
    quantities = [name for name in TITLES if name in there] + [name for name in there if name not in TITLES]
    epochs = max(setting.epochs for setting in drawn)
    size = (1.6 + 1.62 * len(quantities), 1.75 + 1.7 * len(drawn))
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(drawn), len(quantities), squeeze=False, sharex=True)
    colours = colormaps["viridis"].with_extremes(over=_NOT_FINITE)
    for column, quantity in enumerate(quantities):
        maps = [_map(setting, quantity, epochs) for setting in drawn]
        scale = _scale([value for each in maps if each is not None for value in each.flat])
        for axes, setting, values in zip(grid[:, column], drawn, maps, strict=True):
            if values is None:
                _leave_empty(axes)
                continue
            axes.imshow(
                values,
                aspect="auto",
                interpolation="nearest",
                cmap=colours,
                norm=scale,
                extent=(0.5, epochs + 0.5, len(values) - 0.5, -0.5),
            )
            _name_stages(axes, setting.layers[quantity], named=column == 0 or quantity == "gradient_norm")
        grid[0, column].set_title(TITLES.get(quantity, quantity.replace("_", " ")), fontsize=9)
        grid[-1, column].set_xlabel("epoch", fontsize=8)
        grid[-1, column].xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        grid[-1, column].tick_params(axis="x", labelsize=7, length=2)
        bar = figure.colorbar(
            ScalarMappable(scale, colours), ax=grid[:, column], location="bottom", aspect=9, pad=0.01, fraction=0.06
        )
        ticks = np.geomspace(float(scale.vmin or 0), float(scale.vmax or 0), 3)
        bar.ax.minorticks_off()
        bar.set_ticks(list(ticks), labels=[f"{tick:.2g}" for tick in ticks])
        bar.ax.tick_params(labelsize=6.5)
    for axes, setting in zip(grid[:, 0], drawn, strict=True):
        axes.set_ylabel(textwrap.fill(setting.label, 22), fontsize=9, fontweight="bold", labelpad=6)
    figure.suptitle(_caption(settings), x=0.01, ha="left", fontsize=9, color="#444444")
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _map(setting: LayersOfSetting, quantity: str, epochs: int) -> Map | None:
    """Array of shape (layers, epochs); NaN where nothing was measured, infinite where the value was not finite."""
    layers = setting.layers.get(quantity)
    if layers is None:
        return None
    rows = [[setting.medians.get((quantity, layer, 1 + e), math.nan) for e in range(epochs)] for layer in layers]
    return np.array(rows)


def _scale(values: Sequence[float]) -> "Normalize":
    from matplotlib.colors import LogNorm

    positive = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    high = max(positive)
    low = max(min(positive), high / 10**_DECADES)
    return LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)


def _name_stages(axes: "Axes", layers: Sequence[str], *, named: bool) -> None:
    """Label the network's stages by the first part of their layers' names, and draw lines between them."""
    stages = [layer.partition(".")[0] for layer in layers]
    begins = [index for index, stage in enumerate(stages) if index == 0 or stage != stages[index - 1]]
    middles = [(first + last - 1) / 2 for first, last in pairwise([*begins, len(stages)])]
    shown = slice(None, None, -(-len(begins) // 12)) if named else slice(0)
    axes.set_yticks(middles[shown], [stages[index] for index in begins[shown]])
    axes.tick_params(axis="y", labelsize=7, length=0)
    for index in begins[1:]:
        axes.axhline(index - 0.5, color="white", linewidth=0.6, alpha=0.7)


def _leave_empty(axes: "Axes") -> None:
    axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", va="center", fontsize=8, color=_GREY)
    axes.set_yticks([])
    axes.spines[:].set_color("#dddddd")


def _caption(settings: Sequence[LayersOfSetting]) -> str:
    seeds = max(max(setting.seeds.values()) for setting in settings)
    text = "Each map: layers from input (top) to output, against epochs; measured in one step of each epoch"
    text += f", median of {seeds} seeds." if seeds > 1 else "."
    if any(math.isinf(value) for setting in settings[:MOST_ROWS] for value in setting.medians.values()):
        text += " Red: not finite."
    if len(settings) > MOST_ROWS:
        text += f" The first {MOST_ROWS} of {len(settings)} settings."
    return text
