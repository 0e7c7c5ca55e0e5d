"""Exact tests of two settings from few seeds, the correction for several tests, and what a test set can tell."""

import math
from collections.abc import Sequence

from wsnet.storage.seeds import higher_is_better

__all__ = ["holm", "probability_of_improvement", "rank_sum_p", "sampling_error"]


def rank_sum_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p-value of the exact rank-sum test (Wilcoxon 1945; Mann & Whitney 1947) of two unpaired sets.

    Tied values share the mean of their ranks, and the distribution is that of all ways to divide these ranks between
    the two sets, so the test is exact with ties too (Hollander, Wolfe & Chicken 2014, section 4.1). The p-value is
    twice the smaller of the two one-sided ones, at most 1. Five values against five without overlap give 2 / 252 =
    0.0079, three against three 0.1.

    Args:
        first: values of one setting, at least one; infinite for diverged seeds, which tie with each other.
        second: values of the other, at least one.

    Raises:
        ValueError: one of the sets is empty.
    """
    if not first or not second:
        raise ValueError("a rank-sum test needs at least one value in each set")
    chosen, total = len(first), math.comb(len(first) + len(second), len(first))
    ranks = _doubled_midranks([*first, *second])
    observed = sum(ranks[:chosen])
    counts = _ways_by_sum(ranks, chosen, width=total.bit_length() // 8 + 1)
    return min(1.0, 2 * min(sum(counts[: observed + 1]), sum(counts[observed:])) / total)


def holm(p_values: Sequence[float], *, family: int | None = None) -> list[float]:
    """p-values adjusted for several tests by Holm's step-down procedure (Holm 1979, Scand. J. Statist. 6).

    To call those of at most 0.05 decided makes the probability of any wrong decision at most 5 %, however the tests
    depend on each other.

    Args:
        p_values: of the tests.
        family: number of tests that the correction is for; by default all that are given. It may be larger where some
            are still to come.

    Returns:
        the adjusted p-values, in the same order, each at most 1.

    Raises:
        ValueError: the family is smaller than the number of p-values.
    """
    size = len(p_values) if family is None else family
    if size < len(p_values):
        raise ValueError(f"a family of {size} cannot hold {len(p_values)} tests")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (size - step) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def probability_of_improvement(first: Sequence[float], second: Sequence[float], metric: str) -> float:
    """Share of all pairs in which a seed of the first setting is better than one of the second; ties count half.

    An estimate of the probability that a run of the first is better than one of the second (Agarwal et al. 2021,
    "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS, section 4.3).

    Args:
        first: values of one setting, at least one; infinite for diverged seeds.
        second: values of the other, at least one.
        metric: their metric, which says whether higher values are better.
    """
    sign = 1 if higher_is_better(metric) else -1
    pairs = [(sign * a > sign * b) + (a == b) / 2 for a in first for b in second]
    return sum(pairs) / len(pairs)


def sampling_error(error: float, images: int) -> float:
    """Standard error, in percentage points, of an error rate (or an accuracy) that comes from the test set's size.

    The binomial one, 100 sqrt(p (1 - p) / images): how far the measured rate would scatter over other test sets of
    this size. It is the same for every seed, since all are measured on the same images, so more seeds do not reduce
    it. Two settings measured on the same images share part of it; it is no error of their difference.

    Args:
        error: error rate or accuracy in percent, 0 to 100.
        images: number of test images.

    Raises:
        ValueError: the rate is no percentage, or there are no images.
    """
    if not 0 <= error <= 100 or images < 1:
        raise ValueError(f"needs a rate of 0 to 100 percent and at least one image, but got {error!r} and {images!r}")
    share = error / 100
    return 100 * math.sqrt(share * (1 - share) / images)


def _doubled_midranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, from 2; tied values share their mean rank, so that twice a rank is whole."""
    ordered = sorted(values)
    first = {value: position for position, value in reversed(list(enumerate(ordered, 1)))}
    last = {value: position for position, value in enumerate(ordered, 1)}
    return [first[value] + last[value] for value in values]


def _ways_by_sum(ranks: Sequence[int], chosen: int, *, width: int) -> list[int]:
    """In how many ways `chosen` of the ranks have each sum, from 0 on.

    By dynamic programming over the ranks. The counts for all sums are the digits of one integer, of `width` bytes
    each: Python then adds two lists of counts in one operation.
    """
    ways = [1] + [0] * chosen
    for rank in ranks:
        for size in range(chosen, 0, -1):
            ways[size] += ways[size - 1] << (8 * width * rank)
    digits = ways[chosen].to_bytes(width * (sum(ranks) + 1), "little")
    return [int.from_bytes(digits[at : at + width], "little") for at in range(0, len(digits), width)]
