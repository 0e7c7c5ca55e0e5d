"""What a cell says of its seeds, and how far one set of seeds lies from another. Pure functions."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Interval",
    "SmallestP",
    "Summary",
    "higher_is_better",
    "is_of_test",
    "rank_sum_interval",
    "rank_sum_orders",
    "smallest_p",
    "summarize",
    "value_of",
]


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


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with a confidence interval.

    Attributes:
        estimate: the estimated difference.
        low: lower end, part of the interval; -inf where the values are too few for the level that was asked for.
        high: upper end, part of the interval; inf where the values are too few.
        level: probability, at least, that such an interval covers the difference.
    """

    estimate: float
    low: float
    high: float
    level: float

    @property
    def above_zero(self) -> bool:
        """Whether all of it lies above zero."""
        return self.low > 0

    @property
    def below_zero(self) -> bool:
        """Whether all of it lies below zero."""
        return self.high < 0


def rank_sum_interval(first: Sequence[float], second: Sequence[float], *, level: float = 0.95) -> Interval:
    """Hodges-Lehmann estimate of `first` minus `second`, with the interval that inverts the exact rank-sum test.

    The estimate is the median of all differences of a value of one and a value of the other. The interval runs from the
    k-th smallest of these differences to the k-th largest, with the largest k whose two-sided rank-sum (Mann-Whitney)
    test stays at or below 1 - level: it holds the shifts which that test does not reject (Hodges & Lehmann 1963;
    Hollander, Wolfe & Chicken 2014, section 4.3). The values are taken as independent, and the two distributions as
    equal up to a shift. Without ties the level is exact, with ties it is a lower bound. Two equal infinities differ by
    0, so that diverged seeds may take part.

    Args:
        first: values of one setting, at least one.
        second: values of the other, at least one; the two are not paired.
        level: confidence that is asked for; what comes out is this or the next level above that so many values have.

    Returns:
        estimate and interval of `first` minus `second`.
    """
    differences = sorted(0.0 if a == b else a - b for a in first for b in second)
    orders = rank_sum_orders(len(first), len(second))
    total, tail, k = sum(orders), 0, 0
    while 2 * k < len(differences) and 1 - 2 * (tail + orders[k]) / total >= level - 1e-12:
        tail += orders[k]
        k += 1
    low, high = (differences[k - 1], differences[-k]) if k else (-math.inf, math.inf)
    return Interval(estimate=statistics.median(differences), low=low, high=high, level=1 - 2 * tail / total)


def rank_sum_orders(first: int, second: int) -> list[int]:
    """How many orders of so many distinct values have each rank-sum statistic U.

    U counts the pairs in which the value of the first set is the greater one. With equal distributions every order is
    as probable as any other, so that orders[u] / sum(orders) is the probability of u.

    Args:
        first: values of the first set.
        second: values of the second.

    Returns:
        counts for U = 0 .. first * second: the coefficients of the Gaussian binomial (Mann & Whitney 1947).
    """
    orders = [1] + [0] * (first * second)
    for i in range(1, first + 1):
        for u in range(len(orders) - 1, second + i - 1, -1):  # times 1 - q^(second + i) ...
            orders[u] -= orders[u - second - i]
        for u in range(i, len(orders)):  # ... over 1 - q^i
            orders[u] += orders[u - i]
    return orders
