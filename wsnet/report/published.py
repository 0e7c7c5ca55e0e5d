"""The published numbers beside a cell: whose they are, what they are of their runs, how far the cell is from them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from wsnet.config.published import PublishedConfig, rows_of
from wsnet.report.results import Axes
from wsnet.report.statistics import Summary

__all__ = ["CSV_COLUMNS", "PublishedNumber", "csv_fields", "published_caption", "published_numbers", "published_text"]

CSV_COLUMNS = (
    "published",
    "difference",
    "published_by",
    "published_statistic",
    "published_runs",
    "published_id",
)
"""Of `table.csv`; several published numbers of one cell are parted by semicolons, in the same order in each column."""

_STATISTICS = {
    "": "",
    "single": "1 run",
    "median": "median",
    "mean": "mean",
    "best": "best",
    "peak_of_median_curve": "peak of the median",
}


@dataclass(frozen=True, kw_only=True)
class PublishedNumber:
    """A published number, as the metric of a table.

    Attributes:
        id: of the row among the published numbers.
        text: the number, with the digits published.
        source: `README`, `paper` or `repository`.
        statistic: what it is of its runs, such as `median`; empty where that is not said.
        runs: number of runs; None where that is not said.
        is_converted: whether an accuracy was published.
    """

    id: str
    text: str
    source: str
    statistic: str
    runs: int | None
    is_converted: bool

    @property
    def value(self) -> float:
        """The number."""
        return float(self.text)

    @property
    def of_runs(self) -> str:
        """Such as `median of 3`; empty where nothing is said."""
        word = _STATISTICS.get(self.statistic, self.statistic)
        return word if self.runs is None or self.statistic in ("single", "") else f"{word} of {self.runs}"


def published_numbers(link: PublishedConfig | None, axes: Axes, metric: str) -> tuple[PublishedNumber, ...]:
    """The published numbers of a cell.

    Args:
        link: of the sweep, or None.
        axes: of the cell.
        metric: what the table shows.
    """
    if link is None:
        return ()
    values = {key: json.loads(text) for key, text in axes.items() if text is not None}
    return tuple(
        PublishedNumber(
            id=row.id,
            text=str(error),
            source=row.source,
            statistic=row.statistic,
            runs=row.runs,
            is_converted=row.is_accuracy,
        )
        for row in rows_of(link, values)
        if (error := row.error(metric)) is not None
    )


def published_text(published: Iterable[PublishedNumber], summary: Summary | None) -> str:
    """What stands in a cell behind its own value, such as ` (README 6.52 median of 3, -0.21)`; mostly nothing."""
    parts = []
    for each in published:
        words = " ".join(filter(None, (each.source, each.text, each.of_runs)))
        difference = _difference(each, summary)
        parts.append(f" ({words}{'' if difference is None else f', {difference:+.2f}'})")
    return "".join(parts)


def published_caption(link: PublishedConfig | None, published: Iterable[PublishedNumber], metric: str) -> list[str]:
    """What the parentheses of the cells are, in sentences."""
    found = list(published)
    if link is None:
        return []
    if not found:
        return [f"No published number is one of {metric}."]
    sources = {
        "README": "README for its own",
        "paper": "paper for one that the README quotes from a paper",
        "repository": "repository for one of the authors' repository",
    }
    named = "; ".join(sources[source] for source in sources if any(each.source == source for each in found))
    lines = [f"In parentheses the published number ({named}), and the median's difference from it."]
    if any(each.is_converted for each in found):
        lines.append("Published accuracies are shown as errors: 100 - accuracy.")
    if any(each.statistic == "peak_of_median_curve" for each in found):
        lines.append("A peak of the median is the best epoch of a median test curve: it was selected on the test set.")
    return lines


def csv_fields(published: Iterable[PublishedNumber], summary: Summary | None) -> list[str]:
    """Of a cell, in the order of `CSV_COLUMNS`."""
    found = list(published)
    differences = [_difference(each, summary) for each in found]
    rows = (
        (each.text for each in found),
        ("" if difference is None else f"{difference:.6g}" for difference in differences),
        (each.source for each in found),
        (each.statistic for each in found),
        ("" if each.runs is None else str(each.runs) for each in found),
        (each.id for each in found),
    )
    return [";".join(row) for row in rows]


def _difference(published: PublishedNumber, summary: Summary | None) -> float | None:
    return None if summary is None or summary.diverged else summary.median - published.value
