"""`figure.png`: the main figure of a report."""

from wsnet.report.figures import figures, render
from wsnet.report.pivot import Pivot
from wsnet.report.results import Results

__all__ = ["figure_png"]


def figure_png(results: Results, pivot: Pivot) -> bytes:
    """Draw the table; see `wsnet.report.figures`."""
    return render(figures(results, pivot)["figure"](), "png")
