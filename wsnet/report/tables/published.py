"""The published numbers beside a cell: their source, their statistic over how many runs, the cell's difference."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wsnet.config.published import PublishedConfig, rows_of
from wsnet.report.header import Axes
from wsnet.storage.seeds import Summary, higher_is_better

__all__ = ["CSV_COLUMNS", "PublishedNumber", "csv_fields", "published_caption", "published_numbers", "published_text"]

CSV_COLUMNS = (
    "published",
    "difference",
    "published_by",
    "published_statistic",
    "published_runs",
    "published_id",
)
"""Columns of `table.csv`; several published numbers of one cell are separated by semicolons, in the same order."""

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
    """A published number, converted to the metric of a table.

    Attributes:
        id: identifies its row of the published numbers.
        text: the number, with as many digits as published.
        source: `README`, `paper` or `repository`.
        statistic: statistic over its runs, such as `median`; empty if not stated.
        runs: number of runs; None if not stated.
        is_converted: whether it was published as an accuracy where the table shows errors, or the other way round.
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
        """The statistic and the runs, such as `median of 3`; empty if not stated."""
        word = _STATISTICS.get(self.statistic, self.statistic)
        return word if self.runs is None or self.statistic in ("single", "") else f"{word} of {self.runs}"

    @property
    def words(self) -> str:
        """Source, number, statistic and runs, such as `README 6.52 median of 3`."""
        return " ".join(filter(None, (self.source, self.text, self.of_runs)))


def published_numbers(link: PublishedConfig | None, axes: Axes, metric: str) -> tuple[PublishedNumber, ...]:
    """The published numbers of a cell.

    Args:
        link: the sweep's `report.published`, or None.
        axes: the cell's axes.
        metric: what the table shows.
    """
    if link is None:
        return ()
    values = {key: json.loads(text) for key, text in axes.items() if text is not None}
    of_accuracy = higher_is_better(metric)
    return tuple(
        PublishedNumber(
            id=row.id,
            text=str(100 - error if of_accuracy else error),
            source=row.source,
            statistic=row.statistic,
            runs=row.runs,
            is_converted=row.is_accuracy != of_accuracy,
        )
        for row in rows_of(link, values)
        if (error := row.error(metric.replace("accuracy", "error"))) is not None
    )


def published_text(published: Iterable[PublishedNumber], summary: Summary | None) -> str:
    """What follows a cell's own value, such as ` (README 6.52 median of 3, -0.21)`; usually empty.

    Args:
        published: of the cell.
        summary: of the cell; None leaves out the difference, which means nothing between two recipes.
    """
    parts = []
    for each in published:
        difference = _difference(each, summary)
        parts.append(f" ({each.words}{'' if difference is None else f', {difference:+.2f}'})")
    return "".join(parts)


def published_caption(
    link: PublishedConfig | None, published: Iterable[PublishedNumber], metric: str, departures: Sequence[str]
) -> list[str]:
    """Sentences that explain the parentheses in the cells."""
    found = list(published)
    if link is None:
        return []
    if not found:
        return [f"There is no published number for {metric}."]
    sources = {
        "README": "README: its own result",
        "paper": "paper: quoted in the README from a paper",
        "repository": "repository: from the authors' repository",
    }
    named = "; ".join(sources[source] for source in sources if any(each.source == source for each in found))
    if departures:
        of_both = f"Its recipe differs, so no difference is shown: {'; '.join(departures)}."
        lines = [f"In parentheses: the published number ({named}). {of_both}"]
    else:
        lines = [f"In parentheses: the published number ({named}) and the median's difference from it."]
    if any(each.is_converted for each in found):
        one, other = ("errors", "accuracies") if higher_is_better(metric) else ("accuracies", "errors")
        lines.append(f"Published {one} are shown as {other}: 100 - {'error' if one == 'errors' else 'accuracy'}.")
    if any(each.statistic == "peak_of_median_curve" for each in found):
        lines.append("A peak of the median is the best epoch of a median test curve: it was selected on the test set.")
    return lines


def csv_fields(published: Iterable[PublishedNumber], summary: Summary | None) -> list[str]:
    """A cell's fields, in the order of `CSV_COLUMNS`."""
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
