"""What the seeds of one setting amount to: which trials count, and their median. Pure functions."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Summary", "higher_is_better", "is_of_test", "measured", "summarize", "validation_of", "value_of"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The seeds of one setting.

    Attributes:
        n: number of seeds, including diverged ones.
        median: the middle value, or the mean of the two middle ones; infinite if any of these is a diverged seed's.
        low: the lowest value.
        high: the highest value.
        mean: the mean; not finite if any seed diverged.
        deviation: the standard deviation, with n - 1 in the denominator; NaN for one seed, or if any diverged.
    """

    n: int
    median: float
    low: float
    high: float
    mean: float
    deviation: float

    @property
    def diverged(self) -> bool:
        """Whether the median is that of a diverged seed."""
        return not math.isfinite(self.median)

    def middle(self, statistic: str) -> float:
        """The median or the mean, as `statistic` says; not finite if it is that of a diverged seed."""
        return self.mean if statistic == "mean" else self.median


def summarize(values: Sequence[float]) -> Summary | None:
    """Summarize the seeds, whose values are infinite where they diverged; None if there are no seeds."""
    if not values:
        return None
    is_finite = all(map(math.isfinite, values))
    return Summary(
        n=len(values),
        median=statistics.median(values),
        low=min(values),
        high=max(values),
        mean=statistics.fmean(values),
        deviation=statistics.stdev(values) if is_finite and len(values) > 1 else math.nan,
    )


def value_of(status: str, value: float | None, metric: str) -> float | None:
    """The value that one trial contributes to its setting.

    Args:
        status: how the trial ended.
        value: its last-epoch metric; None where it was not measured.
        metric: the metric's name.

    Returns:
        the value; the worst possible value if the trial diverged; None if it does not count: it crashed, is
        unfinished, or, for a test metric, was stopped by the scheduler.
    """
    worst = -math.inf if higher_is_better(metric) else math.inf
    if status == "diverged":
        return worst
    if status == "finished" or (status == "stopped" and not is_of_test(metric)):
        return worst if value is not None and not math.isfinite(value) else value
    return None


def measured(record: Mapping[str, float], metric: str) -> float | None:
    """A metric of one epoch; an accuracy is 100 - the error. None where it was not measured."""
    if metric in record or not metric.endswith("accuracy"):
        return record.get(metric)
    error = record.get(metric.replace("accuracy", "error"))
    return None if error is None else 100 - error


def is_of_test(metric: str) -> bool:
    """Whether a metric was measured on the test set, with the weights or with their average."""
    return metric.startswith(("test/", "test_ema/"))


def validation_of(metric: str) -> str | None:
    """The metric of the validation split that stands in for a test metric when settings are selected."""
    return metric.replace("test", "validation", 1) if is_of_test(metric) else None


def higher_is_better(metric: str) -> bool:
    """Whether a metric is an accuracy; for errors and losses, lower is better."""
    return "accuracy" in metric
