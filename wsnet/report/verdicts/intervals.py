"""Intervals of the median of a few seeds, and of the difference between two sets of them. Pure functions."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Interval",
    "MedianInterval",
    "SmallestP",
    "attainable_interval",
    "median_interval",
    "rank_sum_interval",
    "rank_sum_orders",
    "smallest_p",
]


@dataclass(frozen=True, kw_only=True)
class MedianInterval:
    """A confidence interval for the median of the distribution that some values were drawn from.

    Attributes:
        low: lower end, one of the values.
        high: upper end, one of the values.
        coverage: probability that such an interval covers the median, exact for continuous distributions.
        is_wide_enough: whether the coverage reaches the level that was asked for; otherwise the interval is that from
            the lowest to the highest value, and no wider one can be had from so few values.
    """

    low: float
    high: float
    coverage: float
    is_wide_enough: bool


def median_interval(values: Sequence[float], *, level: float = 0.9) -> MedianInterval:
    """The interval of the median between two order statistics, as many from the lowest as from the highest value.

    From the k-th lowest to the k-th highest of n values, it covers the median with probability
    1 - 2 P(B < k), where B is binomial with n trials of 1/2 (Hollander, Wolfe & Chicken 2014, section 3.6). From the
    lowest to the highest that is 1 - 2 / 2^n: 75 % for 3 values, 93.75 % for 5. With ties it is a lower bound.

    Args:
        values: at least one; infinite for a diverged seed.
        level: requested coverage, below 1.

    Returns:
        the narrowest such interval whose coverage reaches the level, or the widest one if none does.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("the interval of a median needs at least one value")
    ordered, n = sorted(values), len(values)
    k, coverage = 1, 1 - 2 / 2**n
    while 2 * (k + 1) <= n + 1:
        narrower = coverage - 2 * math.comb(n, k) / 2**n
        if narrower < level - 1e-12:
            break
        k, coverage = k + 1, narrower
    return MedianInterval(
        low=ordered[k - 1], high=ordered[-k], coverage=coverage, is_wide_enough=coverage >= level - 1e-12
    )


@dataclass(frozen=True, kw_only=True)
class SmallestP:
    """The smallest p-values that exact tests of two settings can reach, for any measurements.

    Attributes:
        paired: two-sided sign-flip test of n pairs, if all differences have the same sign: 2 / 2^n.
        paired_one_sided: the same test, one-sided: 1 / 2^n.
        rank_sum: two-sided rank-sum test of n against n values, if all values of one set are below all of the other:
            2 / C(2n, n).
    """

    paired: float
    paired_one_sided: float
    rank_sum: float


def smallest_p(seeds: int) -> SmallestP:
    """The `SmallestP` for two settings with this many seeds each, at least one."""
    one_sided = math.ldexp(1.0, -seeds)
    return SmallestP(paired=2 * one_sided, paired_one_sided=one_sided, rank_sum=2 / math.comb(2 * seeds, seeds))


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with a confidence interval.

    Attributes:
        estimate: the estimated difference.
        low: lower end, included in the interval; -inf if there are too few values for the requested level, or if too
            many of them are infinite.
        high: upper end, included in the interval; inf in the same cases.
        level: lower bound on the probability that such an interval covers the difference.
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

    The estimate is the median of all differences between a value of `first` and a value of `second`. The interval runs
    from the k-th smallest of these differences to the k-th largest, with the largest k for which the size of the
    two-sided rank-sum (Mann-Whitney) test is at most 1 - level: it holds the shifts that this test does not reject
    (Hodges & Lehmann 1963; Hollander, Wolfe & Chicken 2014, section 4.3). The values are assumed independent, and the
    two distributions equal up to a shift. Without ties the level is exact; with ties it is a lower bound. Two equal
    infinities differ by 0, so diverged seeds may be included.

    Args:
        first: values of one setting, at least one.
        second: values of the other, at least one; the two are not paired.
        level: requested confidence; the result has the lowest attainable level that is not below it.

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


def attainable_interval(first: Sequence[float], second: Sequence[float], *, level: float = 0.95) -> Interval | None:
    """`rank_sum_interval` at the requested level, or at the highest one that so few values can have.

    From the smallest to the largest difference, the level is 1 - 2 / C(n + m, n): 90 % for three values against three,
    which is therefore what they get where 95 % is asked for; five against five have 96.8 %.

    Args:
        first: values of one setting, at least one.
        second: values of the other, at least one.
        level: requested confidence.

    Returns:
        the interval with its level; None for one value against one, for which there is no interval.
    """
    highest = 1 - 2 / math.comb(len(first) + len(second), len(first))
    return None if highest <= 0 else rank_sum_interval(first, second, level=min(level, highest))


def rank_sum_orders(first: int, second: int) -> list[int]:
    """How many orders of distinct values give each value of the rank-sum statistic U.

    U counts the pairs in which the value of the first set is the greater one. With equal distributions all orders are
    equally likely, so orders[u] / sum(orders) is the probability of u.

    Args:
        first: number of values in the first set.
        second: number of values in the second set.

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
