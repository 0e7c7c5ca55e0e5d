"""Figures of a report: which ones answer its question, and their bytes. Importing this does not load matplotlib."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from wsnet.report.figures.style import FULL_WIDTH, ONE_COLUMN, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from wsnet.report.curves import Curves
    from wsnet.report.figures.table import Facts
    from wsnet.report.results import Results
    from wsnet.report.tables.pivot import Pivot

__all__ = ["FULL_WIDTH", "KINDS", "ONE_COLUMN", "figures", "render"]

KINDS = ("strip", "lines", "scatter", "curves", "time", "parameters", "rungs")
"""What follows `figure-` in the names of the figures beside the main one."""


def figures(
    results: "Results",
    pivot: "Pivot",
    curves: "Curves | None" = None,
    *,
    facts: "Facts | None" = None,
    title: bool = False,
    width: float = FULL_WIDTH,
) -> "dict[str, Callable[[], Figure]]":
    """The figures that make sense for these results; each is drawn when it is called.

    Args:
        results: of a sweep.
        pivot: its table.
        curves: the settings' learning curves (`wsnet.report.curves.read_curves`), for `figure-curves` and, where they
            have times, `figure-time`.
        facts: quantities of the settings by setting_id, `parameters` or `training_seconds`, for `figure-parameters`
            and `figure-time`.
        title: whether the question stands above each figure; in a paper it stands in the caption.
        width: in inches; 3.3 is one column of a paper.

    Returns:
        by file name without its ending. `figure` is the one that answers the question: a heat map, lines, a scatter
        plot or a strip plot.
    """
    from wsnet.report.figures.choose import chosen

    return chosen(results, pivot, curves, facts=facts or {}, title=title, width=width)


def render(figure: "Figure", format: Literal["png", "svg", "pdf"]) -> bytes:
    """A figure as a file; the same figure gives the same bytes.

    Args:
        figure: as `figures` draws it.
        format: `png` has 150 dots per inch, `pdf` has TrueType fonts embedded, and `svg` has its text as outlines.
    """
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
    stream = io.BytesIO()
    with styled():
        figure.savefig(stream, format=format, metadata=metadata, dpi=150)
    return stream.getvalue()
