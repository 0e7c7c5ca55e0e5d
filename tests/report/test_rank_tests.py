"""Exact tests of few seeds, the correction for several, and what a test set can tell."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from wsnet.config.compare import smallest_rank_sum_p
from wsnet.report.verdicts.intervals import attainable_interval, median_interval, rank_sum_interval, smallest_p
from wsnet.report.verdicts.rank_tests import (
    holm,
    probability_of_improvement,
    rank_sum_p,
    sampling_error,
)
from wsnet.report.verdicts.seeds_needed import MOST_SEEDS, seeds_needed

INF = math.inf
QUICK = settings(deadline=None, derandomize=True, database=None, max_examples=60)
VALUES = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5, 4.0, INF]), min_size=1, max_size=6)


@pytest.mark.parametrize(("seeds", "p"), [(3, 0.1), (4, 2 / 70), (5, 2 / 252), (10, 2 / 184756)])
def test_two_sets_without_overlap_have_the_smallest_p_that_is_said(seeds: int, p: float) -> None:
    low, high = [float(i) for i in range(seeds)], [float(i + seeds) for i in range(seeds)]
    assert rank_sum_p(low, high) == rank_sum_p(high, low) == pytest.approx(p, rel=1e-12)
    assert p == pytest.approx(smallest_p(seeds).rank_sum) == pytest.approx(smallest_rank_sum_p(seeds, seeds))


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 6), (3, 5), (5, 5), (7, 4), (12, 12), (40, 30)])
def test_without_ties_the_p_is_that_of_scipys_exact_test(first: int, second: int) -> None:
    generator = random.Random(first)
    for shift in (0.0, 0.5, 2.0):
        a = [generator.gauss(shift, 1) for _ in range(first)]
        b = [generator.gauss(0, 1) for _ in range(second)]
        assert rank_sum_p(a, b) == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1.0, 1.0, 2.0], [2.0, 3.0, 3.0]),
        ([1.0, 2.0, 2.0, 2.0], [2.0, 5.0, 7.0]),
        ([8.1, 8.2, 8.2, 8.4, 8.9], [8.2, 8.4, 8.4, 9.0, 9.1]),
        ([1.0, 1.0], [1.0, 1.0]),
    ],
)
def test_with_ties_the_p_is_that_of_scipys_permutation_test(first: list[float], second: list[float]) -> None:
    def rank_sum(a: np.ndarray, b: np.ndarray) -> float:
        return float(stats.rankdata([*a, *b])[: len(a)].sum())

    found = stats.permutation_test((first, second), rank_sum, permutation_type="independent", n_resamples=np.inf)
    assert rank_sum_p(first, second) == pytest.approx(min(1.0, found.pvalue), rel=1e-9)


def test_seeds_that_diverged_tie_with_each_other() -> None:
    assert rank_sum_p([1.0, INF, INF], [2.0, INF, INF]) == rank_sum_p([1.0, 9.0, 9.0], [2.0, 9.0, 9.0])
    assert rank_sum_p([INF] * 5, [INF] * 5) == 1.0
    assert rank_sum_p([INF] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 252)


def test_a_hundred_seeds_with_ties_are_tested_at_once() -> None:
    generator = random.Random(1)
    a, b = ([float(generator.randrange(20)) for _ in range(60)] for _ in range(2))
    normal = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=True).pvalue
    assert rank_sum_p(a, b) == pytest.approx(normal, rel=0.02)


@pytest.mark.parametrize(("first", "second"), [([], [1.0]), ([1.0], [])])
def test_an_empty_set_can_not_be_tested(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one value in each set"):
        rank_sum_p(first, second)


@QUICK
@given(VALUES, VALUES)
def test_exchanging_two_sets_changes_no_p_and_turns_the_improvement_round(a: list[float], b: list[float]) -> None:
    assert rank_sum_p(a, b) == rank_sum_p(b, a)
    assert rank_sum_p(a, b) >= smallest_rank_sum_p(len(a), len(b)) - 1e-12
    forth, back = (probability_of_improvement(*sets, "test/top1_error") for sets in ((a, b), (b, a)))
    assert forth + back == pytest.approx(1.0)
    assert forth == pytest.approx(probability_of_improvement([-v for v in a], [-v for v in b], "test/top1_accuracy"))


@QUICK
@given(VALUES, VALUES)
def test_the_test_depends_on_the_order_of_the_values_alone(a: list[float], b: list[float]) -> None:
    def moved(values: list[float]) -> list[float]:
        return [3 * value + 2 for value in values]

    assert rank_sum_p(a, b) == rank_sum_p(moved(a), moved(b))
    assert rank_sum_p(a, b) == rank_sum_p(sorted(a), sorted(b, reverse=True))


def test_no_level_is_exceeded_by_a_test_of_equal_distributions_with_ties() -> None:
    samples = list(itertools.product([0.0, 1.0, 2.0], repeat=3))
    found = [rank_sum_p(a, b) for a in samples for b in samples]
    for level in (0.1, 0.2, 0.4, 0.6):
        assert sum(p <= level for p in found) / len(found) <= level + 1e-12


@QUICK
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_keeps_the_order_and_lies_between_none_and_bonferronis(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, after in zip(p_values, adjusted, strict=True):
        assert p <= after <= min(1.0, len(p_values) * p) or after == max(adjusted)
        assert after <= 1
    by_p = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in by_p] == sorted(adjusted)


def test_holms_correction_of_an_example_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01], family=6) == pytest.approx([0.06])
    assert holm([0.01, 0.02], family=6) == pytest.approx([0.06, 0.1])
    assert holm([]) == []
    with pytest.raises(ValueError, match="a family of 1 cannot hold 2"):
        holm([0.1, 0.2], family=1)


def test_the_probability_of_improvement_counts_pairs_and_half_of_the_ties() -> None:
    assert probability_of_improvement([1.0, 2.0], [2.0, 3.0], "test/top1_error") == pytest.approx(3.5 / 4)
    assert probability_of_improvement([1.0, 2.0], [2.0, 3.0], "test/top1_accuracy") == pytest.approx(0.5 / 4)
    assert probability_of_improvement([INF], [INF], "test/loss") == 0.5


def test_the_test_sets_own_error_is_the_binomial_one() -> None:
    assert sampling_error(8.0, 10_000) == pytest.approx(100 * stats.binom(10_000, 0.08).std() / 10_000)
    assert sampling_error(0.0, 300) == 0.0
    with pytest.raises(ValueError, match="0 to 100 percent"):
        sampling_error(INF, 300)


@pytest.mark.parametrize(
    ("seeds", "level", "left_out", "coverage"),
    [
        (5, 0.9, 0, 0.9375),
        (5, 0.95, 0, 0.9375),  # No interval of five covers 95 %.
        (3, 0.9, 0, 0.75),
        (6, 0.95, 0, 1 - 2 / 64),
        (8, 0.9, 1, 1 - 18 / 256),
        (10, 0.95, 1, 1 - 22 / 1024),
        (20, 0.95, 5, 1 - 2 * 21700 / 2**20),
        (1, 0.9, 0, 0.0),
    ],
)
def test_the_interval_of_the_median_has_the_coverage_of_its_order_statistics(
    seeds: int, level: float, left_out: int, coverage: float
) -> None:
    values = [float(value) for value in range(seeds)]
    random.Random(0).shuffle(values)
    found = median_interval(values, level=level)
    assert (found.low, found.high) == (left_out, seeds - 1 - left_out)
    assert found.coverage == pytest.approx(coverage, abs=1e-12)
    assert found.is_wide_enough == (coverage >= level)
    assert found.coverage == pytest.approx(1 - 2 * stats.binom(seeds, 0.5).cdf(left_out))


def test_a_narrower_interval_would_cover_less_than_was_asked_for() -> None:
    for seeds in range(5, 60):
        found = median_interval([float(value) for value in range(seeds)], level=0.9)
        assert found.coverage >= 0.9 > 1 - 2 * stats.binom(seeds, 0.5).cdf(found.low + 1)


def test_the_median_of_no_seeds_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one"):
        median_interval([])


@pytest.mark.parametrize(("first", "second", "level"), [(5, 5, 1 - 8 / 252), (3, 3, 0.9), (2, 2, 2 / 3), (1, 2, 1 / 3)])
def test_few_seeds_get_the_highest_level_that_they_can_have(first: int, second: int, level: float) -> None:
    a, b = [float(i) for i in range(first)], [0.3 * i for i in range(second)]
    found = attainable_interval(a, b)
    assert found is not None and found.level == pytest.approx(level)
    assert math.isfinite(found.low) and math.isfinite(found.high)


def test_one_seed_against_one_has_no_interval() -> None:
    assert attainable_interval([1.0], [2.0]) is None


@pytest.mark.slow
@pytest.mark.parametrize("draw", [random.Random(5).gauss, random.Random(6).expovariate])
def test_intervals_cover_as_often_as_they_say_in_ten_thousand_draws(draw: object) -> None:
    draws, n = 10_000, 5
    is_normal = "gauss" in repr(draw)
    median = 0.0 if is_normal else math.log(2)
    covers = shifts = 0
    for _ in range(draws):
        values, others = ([draw(0, 1) if is_normal else draw(1) for _ in range(n)] for _ in range(2))  # type: ignore[operator]
        found = median_interval(values)
        covers += found.low <= median <= found.high
        interval = rank_sum_interval([value + 2 for value in values], others)
        shifts += interval.low <= 2 <= interval.high
    # Three standard errors of a share of 10,000 are at most 0.0073 here.
    assert covers / draws == pytest.approx(0.9375, abs=0.0073)
    assert shifts / draws == pytest.approx(1 - 8 / 252, abs=0.0053)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [1.0, 1.5])
def test_so_many_seeds_as_are_estimated_settle_a_comparison_about_as_often_as_is_said(shift: float) -> None:
    quantiles = [stats.norm.ppf((i + 0.5) / 9) for i in range(9)]
    spread = float(np.std(quantiles, ddof=1))
    first = [float(value) / spread for value in quantiles]
    needed = seeds_needed([value + shift for value in first], first)
    assert needed is not None
    generator = random.Random(2)
    decided = sum(
        rank_sum_p(
            [generator.gauss(shift, 1) for _ in range(needed)], [generator.gauss(0, 1) for _ in range(needed)]
        ) <= 0.05
        for _ in range(500)
    )  # fmt: skip
    assert 0.74 <= decided / 500 <= 0.9


def test_seeds_without_a_difference_and_tiny_differences_are_hopeless() -> None:
    assert seeds_needed([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None
    assert seeds_needed([INF] * 3, [INF] * 3) is None
    assert seeds_needed([1.01, 2.01, 3.01], [1.0, 2.0, 3.0]) is None


@QUICK
@given(st.integers(1, 40))
def test_more_comparisons_never_take_fewer_seeds_nor_fewer_than_the_test_needs(comparisons: int) -> None:
    a, b = [5.0, 6.0, 7.0], [1.0, 2.0, 3.0]
    one, many = seeds_needed(a, b), seeds_needed(a, b, comparisons=comparisons)
    assert one is not None and many is not None and one <= many <= MOST_SEEDS
    assert comparisons * smallest_rank_sum_p(many, many) <= 0.05
