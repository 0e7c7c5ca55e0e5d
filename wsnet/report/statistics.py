"""What a cell says of its seeds. Pure functions."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["SmallestP", "Summary", "higher_is_better", "is_of_test", "smallest_p", "summarize", "value_of"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The seeds of one setting.

    Attributes:
        n: seeds that entered, diverged ones included.
        median: the middle value, or the mean of the two middle ones; infinite where a diverged seed is among those.
        low: the lowest value.
        high: the highest value.
    """

    n: int
    median: float
    low: float
    high: float

    @property
    def diverged(self) -> bool:
        """Whether the median is that of a diverged seed."""
        return not math.isfinite(self.median)


def summarize(values: Sequence[float]) -> Summary | None:
    """Median, lowest and highest of seeds, a diverged one being infinite; None where there are none."""
    if not values:
        return None
    return Summary(n=len(values), median=statistics.median(values), low=min(values), high=max(values))


def value_of(status: str, value: float | None, metric: str) -> float | None:
    """What one trial brings into its cell.

    Args:
        status: how the trial ended.
        value: its last-epoch metric; None where it was not measured.
        metric: the metric's name.

    Returns:
        the value; the worst value there can be for a seed that diverged; None for one that does not count: crashed,
        unfinished, or stopped by the scheduler, which has no test result.
    """
    worst = -math.inf if higher_is_better(metric) else math.inf
    if status == "diverged":
        return worst
    if status == "finished" or (status == "stopped" and not is_of_test(metric)):
        return worst if value is not None and not math.isfinite(value) else value
    return None


def is_of_test(metric: str) -> bool:
    """Whether a metric is of the test set: of the weights or of their average."""
    return metric.startswith(("test/", "test_ema/"))


def higher_is_better(metric: str) -> bool:
    """Whether a metric is an accuracy; errors and losses are better low."""
    return "accuracy" in metric


@dataclass(frozen=True, kw_only=True)
class SmallestP:
    """The smallest p that exact tests of two settings can reach, whatever was measured.

    Attributes:
        paired: two-sided, of the sign-flip test of n pairs: all differences of one sign, 2 / 2^n.
        paired_one_sided: the same one-sided, 1 / 2^n.
        rank_sum: two-sided, of the rank-sum test of n against n: no value of one between those of the other,
            2 / C(2n, n).
    """

    paired: float
    paired_one_sided: float
    rank_sum: float


def smallest_p(seeds: int) -> SmallestP:
    """See `SmallestP`; for at least one seed of each setting."""
    one_sided = math.ldexp(1.0, -seeds)
    return SmallestP(paired=2 * one_sided, paired_one_sided=one_sided, rank_sum=2 / math.comb(2 * seeds, seeds))
