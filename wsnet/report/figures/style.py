"""How figures look: colours, markers, sizes and fonts, readable in print and at one column's width."""

import logging
import math
import textwrap
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "FULL_WIDTH",
    "GREY",
    "MOST_NAMED",
    "ONE_COLUMN",
    "add_legend",
    "add_title",
    "is_narrow",
    "log_ticks",
    "new_figure",
    "row_style",
    "stacked",
    "styled",
    "wrap",
]

# On a first use, matplotlib's search for fonts takes seconds, of which it would warn in the middle of a sweep's output.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

FULL_WIDTH, ONE_COLUMN = 6.75, 3.3
"""Widths in inches of a page's text and of one of its two columns."""

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#6A3D9A",
    "#8C564B",
    "#444444",
    "#9A8B00",
)
"""Okabe and Ito's, which are safe for the colour-blind, then others; markers tell rows apart in black and white."""

GREY = "#777777"

MOST_NAMED = 26
"""Maximum number of entries of a legend: more cannot be told apart."""

_MARKERS, _DASHES = "osD^vph<>8*d", ("-", "--", ":")

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # It comes with matplotlib.
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#333333",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.labelspacing": 0.45,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.1,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,  # TrueType, which submission systems ask for; the default is Type 3.
    "svg.fonttype": "path",
    "svg.hashsalt": "wsnet",  # The same figure is the same file.
    "text.parse_math": False,  # A dollar sign in a label is a dollar sign.
    "savefig.dpi": 150,
    "figure.dpi": 150,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings while a figure is drawn or saved; those of the user have no effect."""
    from matplotlib import rc_context, rcdefaults, rcParams

    settings: MutableMapping[Any, Any] = rcParams
    with rc_context():
        rcdefaults()
        settings.update(_RC)
        yield


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, in inches, which is laid out so that nothing overlaps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def is_narrow(width: float) -> bool:
    """Whether there is no room for a legend beside the axes."""
    return width < 5


def row_style(index: int) -> dict[str, Any]:
    """Colour, marker and dashes of a row; no two of the first 60 rows look the same."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "linestyle": _DASHES[index // len(COLOURS) % len(_DASHES)],
    }


def wrap(text: str, characters: int) -> str:
    """Break a label between words, and only where a single word is longer than a line also within it."""
    return "\n".join(
        textwrap.wrap(text, characters, break_on_hyphens=False, break_long_words=characters >= 12) or [text]
    )


def stacked(names: Sequence[str]) -> tuple[list[float], float]:
    """Places for wrapped names one below the other, in lines of text, and how many lines they need together."""
    heights = [max(1.45, 1.2 * (name.count("\n") + 1) + 0.3) for name in names]
    ends = [sum(heights[: index + 1]) for index in range(len(heights))]
    return [end - height / 2 for end, height in zip(ends, heights, strict=True)], sum(heights)


def add_legend(figure: "Figure", handles: Sequence[Any], labels: Sequence[str], *, below: bool = False) -> None:
    """A legend outside of the axes: on the right of a wide figure, above a narrow one, which becomes higher for it.

    Args:
        figure: gets the legend.
        handles: artists that look like the entries.
        labels: their names.
        below: leave the place above the axes of a narrow figure to its title.
    """
    if not handles or len(handles) > MOST_NAMED:
        return
    width = float(figure.get_figwidth())
    if not is_narrow(width):
        texts = [wrap(label, 24) for label in labels]
        lines = sum(text.count("\n") + 1.4 for text in texts)
        figure.set_figheight(max(figure.get_figheight(), 0.13 * lines + 0.2))
        figure.legend(handles, texts, loc="outside right upper")
        return
    texts = [wrap(label, int(8 * width) - 5) for label in labels]  # Two columns hold so many characters.
    longest = max(len(line) for text in texts for line in text.split("\n"))
    columns = max(1, min(len(labels), int(width / (0.055 * longest + 0.42))))
    lines = sum(text.count("\n") + 1 for text in texts) / columns
    figure.set_figheight(figure.get_figheight() + 0.155 * (int(lines) + 1))
    figure.legend(handles, texts, loc="outside lower left" if below else "outside upper left", ncols=columns)


def add_title(figure: "Figure", title: str, note: str = "") -> None:
    """A title above a figure, with a smaller line below it."""
    width = float(figure.get_figwidth())
    lines = textwrap.wrap(title, int(width * 13))
    notes = textwrap.wrap(note, int(width * 17))
    figure.set_figheight(figure.get_figheight() + 0.17 * len(lines) + 0.14 * len(notes))
    text = "\n".join([*lines, *notes])
    figure.suptitle(text, x=0.01, ha="left", fontsize=8)


def log_ticks(axes: "Axes", which: str, limits: tuple[float, float], *, most: int = 7) -> None:
    """A logarithmic axis with at most so many plain numbers, such as 0.01 and 1e-4, between these limits."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    from wsnet.report.names import number_name

    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis.set_major_locator(FixedLocator(_log_places(*limits, most)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number_name(float(f"{value:.6g}"))))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _log_places(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two limits."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        places = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        within = [place for place in places if low <= place <= high]
        if len(within) <= most:
            return within
    powers = [10.0**power for power in range(first, last + 1) if low <= 10.0**power <= high]
    return powers[:: -(-len(powers) // most)]
