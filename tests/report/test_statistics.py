"""What a cell says of its seeds."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from wsnet.report.verdicts.intervals import smallest_p
from wsnet.storage.seeds import summarize, value_of

INF = math.inf


def test_a_cell_is_the_middle_seed_with_the_lowest_and_the_highest() -> None:
    summary = summarize([5.0, 1.0, 3.0])
    assert summary is not None
    assert (summary.n, summary.median, summary.low, summary.high) == (3, 3.0, 1.0, 5.0)


def test_an_even_number_of_seeds_takes_the_mean_of_the_two_in_the_middle() -> None:
    summary = summarize([4.0, 1.0, 2.0, 9.0])
    assert summary is not None
    assert summary.median == 3.0


@pytest.mark.parametrize(
    ("values", "diverged"),
    [
        ([1.0, 2.0, INF], False),
        ([1.0, INF, INF], True),
        ([1.0, INF], True),
        ([1.0, 2.0, 3.0, INF], False),
        ([INF], True),
    ],
)
def test_a_median_that_is_a_diverged_seed_has_diverged(values: list[float], diverged: bool) -> None:
    summary = summarize(values)
    assert summary is not None
    assert summary.diverged is diverged


def test_no_seeds_make_no_summary() -> None:
    assert summarize([]) is None


def test_a_diverged_seed_ranks_worst_whatever_it_measured() -> None:
    assert value_of("diverged", 3.0, "test/top1_error") == INF
    assert value_of("diverged", None, "test/loss") == INF
    assert value_of("diverged", 3.0, "test/top1_accuracy") == -INF
    assert value_of("finished", math.nan, "train/loss") == INF


@pytest.mark.parametrize("status", ["failed", "running"])
def test_a_crashed_or_unfinished_seed_is_missing(status: str) -> None:
    assert value_of(status, 3.0, "test/top1_error") is None


def test_a_stopped_seed_has_a_validation_value_but_no_test_value() -> None:
    assert value_of("stopped", 3.0, "validation/top1_error") == 3.0
    assert value_of("stopped", 3.0, "test/top1_error") is None
    assert value_of("stopped", 3.0, "validation_ema/top1_error") == 3.0
    assert value_of("stopped", 3.0, "test_ema/top1_error") is None


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 6])
def test_no_signs_of_the_differences_give_a_smaller_p_than_is_said(seeds: int) -> None:
    signs = list(itertools.product((-1.0, 1.0), repeat=seeds))
    magnitudes = 1.7 ** np.arange(1, seeds + 1)
    for sides, said in (("two-sided", smallest_p(seeds).paired), ("greater", smallest_p(seeds).paired_one_sided)):
        found = [
            stats.permutation_test(
                (magnitudes * each,), np.mean, permutation_type="samples", alternative=sides, n_resamples=np.inf
            ).pvalue
            for each in signs
        ]
        assert min(found) == pytest.approx(said, rel=1e-12)
        ranks = [stats.wilcoxon(np.arange(1, seeds + 1) * each, alternative=sides, method="exact") for each in signs]
        assert min(each.pvalue for each in ranks) == pytest.approx(said, rel=1e-12)


@pytest.mark.parametrize("seeds", [1, 2, 3, 4, 5])
def test_no_order_of_the_seeds_gives_a_smaller_rank_sum_p_than_is_said(seeds: int) -> None:
    everyone = set(range(2 * seeds))
    found = [
        stats.mannwhitneyu(one, sorted(everyone - set(one)), method="exact").pvalue
        for one in itertools.combinations(everyone, seeds)
    ]
    assert min(found) == pytest.approx(smallest_p(seeds).rank_sum, rel=1e-12)


def test_only_the_two_sided_test_of_five_pairs_can_not_reach_five_percent() -> None:
    five = smallest_p(5)
    assert (five.paired, five.paired_one_sided, five.rank_sum) == (0.0625, 1 / 32, 2 / 252)
