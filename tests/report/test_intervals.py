"""Exact intervals for the difference of two sets of seeds."""

import itertools
import math
import random
from collections import Counter

import pytest
from scipy.stats import mannwhitneyu

from wsnet.report.verdicts.intervals import rank_sum_interval, rank_sum_orders

INF = math.inf


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 4), (3, 2), (4, 5), (5, 5)])
def test_the_orders_of_each_rank_sum_are_those_that_one_can_count(first: int, second: int) -> None:
    positions = range(first + second)
    counted = Counter(
        sum(a > b for a in chosen for b in positions if b not in chosen)
        for chosen in itertools.combinations(positions, first)
    )
    assert rank_sum_orders(first, second) == [counted[u] for u in range(first * second + 1)]


@pytest.mark.parametrize(("first", "second", "level"), [(8, 8, 0.95), (5, 9, 0.95), (6, 4, 0.9), (10, 10, 0.99)])
def test_the_interval_holds_the_shifts_that_scipys_exact_test_does_not_reject(
    first: int, second: int, level: float
) -> None:
    generator = random.Random(first)
    a, b = ([generator.gauss(0, 1) for _ in range(n)] for n in (first, second))
    interval = rank_sum_interval(a, b, level=level)
    assert interval.level >= level
    differences = sorted(x - y for x in a for y in b)
    for below, above in itertools.pairwise([differences[0] - 1, *differences, differences[-1] + 1]):
        shift = (below + above) / 2
        p = mannwhitneyu([x - shift for x in a], b, method="exact").pvalue
        assert (interval.low < shift < interval.high) == (p > 1 - level)
        assert (interval.low < shift < interval.high) == (p > 1 - interval.level + 1e-12)


def test_eight_against_eight_leave_out_thirteen_differences_on_each_side() -> None:
    # 321 of the 12,870 orders of 8 and 8 values have U <= 13, which is 2.49 %, the last below 2.5 %.
    interval = rank_sum_interval([8.0 * i for i in range(8)], [float(i) for i in range(8)])
    differences = sorted(8.0 * i - j for i in range(8) for j in range(8))
    assert (interval.low, interval.high) == (differences[13], differences[-14])
    assert interval.level == pytest.approx(1 - 2 * 321 / 12870)
    assert interval.estimate == (differences[31] + differences[32]) / 2


def test_a_level_that_can_be_had_exactly_is_taken() -> None:
    interval = rank_sum_interval([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], level=0.9)
    assert (interval.low, interval.high, interval.level) == (1.0, 5.0, pytest.approx(0.9))
    assert interval.above_zero and not interval.below_zero


def test_too_few_seeds_exclude_nothing() -> None:
    interval = rank_sum_interval([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], level=0.95)
    assert (interval.estimate, interval.low, interval.high, interval.level) == (3.0, -INF, INF, 1.0)
    assert not interval.above_zero and not interval.below_zero


def test_exchanging_the_sets_exchanges_the_signs() -> None:
    a, b = [1.0, 2.5, 4.0, 7.0, 9.0], [0.0, 3.0, 8.0, 11.0, 12.5]
    one, other = rank_sum_interval(a, b, level=0.9), rank_sum_interval(b, a, level=0.9)
    assert (one.estimate, one.low, one.high) == (-other.estimate, -other.high, -other.low)


def test_seeds_that_diverged_in_both_sets_are_equal() -> None:
    interval = rank_sum_interval([1.0, 2.0, 3.0, INF], [1.0, 2.0, 3.0, INF], level=0.8)
    assert interval.estimate == 0.0
    assert interval.low <= 0 <= interval.high


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_ties_only_raise_the_probability_of_covering(level: float) -> None:
    # Every pair of samples of 4 from the values 0, 1, 2: both have the same distribution, so zero is to be covered.
    samples = list(itertools.product([0.0, 1.0, 2.0], repeat=4))
    covers = total = 0
    for a in samples:
        for b in samples:
            interval = rank_sum_interval(a, b, level=level)
            covers += interval.low <= 0 <= interval.high
            total += 1
    assert covers / total >= interval.level
