"""The numbers of a setting's run: which seeds count, and how a diverged one does."""

import math

import pytest

from wsnet.storage.trial_directory import Record
from wsnet.tracking.setting_metrics import Seed, curves, shown_metrics, summaries

TEST, VALIDATION = "test/top1_error", "validation/top1_error"


def seed(status: str, *errors: float, metric: str = TEST) -> Seed:
    """A seed with these errors after each epoch."""
    records: list[Record] = [{"epoch": epoch, metric: error} for epoch, error in enumerate(errors, 1)]
    return Seed(status, records)


def test_the_median_and_the_range_are_of_the_last_epoch() -> None:
    seeds = [seed("finished", 90, 3), seed("finished", 80, 1), seed("finished", 70, 2.000004)]
    assert summaries(seeds, [TEST]) == {
        "median/test_top1_error": 2.0,
        "low/test_top1_error": 1,
        "high/test_top1_error": 3,
        "n/test_top1_error": 3,
    }


def test_a_diverged_seed_ranks_worst_and_a_crashed_one_does_not_count() -> None:
    found = summaries([seed("finished", 5), seed("diverged", math.nan), seed("diverged"), seed("failed", 1)], [TEST])
    assert found["n/test_top1_error"] == 3
    assert found["low/test_top1_error"] == 5
    assert math.isnan(found["median/test_top1_error"]) and math.isnan(found["high/test_top1_error"])


def test_a_setting_of_which_no_seed_counts_has_its_number_alone() -> None:
    assert summaries([seed("failed"), Seed("damaged", [])], [TEST]) == {"n/test_top1_error": 0}


def test_a_stopped_seed_counts_on_validation_and_not_on_test() -> None:
    stopped = [seed("stopped", 7, metric=VALIDATION), seed("stopped", 7, metric=TEST)]
    assert summaries(stopped[:1], [VALIDATION])["median/validation_top1_error"] == 7
    assert summaries(stopped[1:], [TEST]) == {"n/test_top1_error": 0}
    assert curves(stopped, [VALIDATION, TEST]) == [(1, "curve/validation_top1_error", 7)]


def test_the_curve_is_the_median_at_every_epoch_and_ends_where_that_has_diverged() -> None:
    name = "curve/test_top1_error"
    seeds = [seed("finished", 9, 6, 4), seed("finished", 8, 5, 3), seed("diverged", 7, math.nan)]
    assert curves(seeds, [TEST]) == [(1, name, 8), (2, name, 6), (3, name, 4)]
    seeds[1] = seed("diverged", 8, 6, math.nan)
    assert curves(seeds, [TEST]) == [(1, name, 8), (2, name, 6)]


def test_an_epoch_that_was_not_tested_has_no_point() -> None:
    record: list[Record] = [{"epoch": 1, TEST: 9.0}, {"epoch": 2}, {"epoch": 3, TEST: 7.0}]
    diverged = seed("diverged", math.nan)
    points = curves([Seed("finished", record), Seed("finished", record), diverged], [TEST])
    assert [epoch for epoch, _, _ in points] == [1, 3]


def test_an_accuracy_is_what_the_error_leaves_and_higher_is_better() -> None:
    accuracy = "test/top1_accuracy"
    seeds = [seed("finished", 30, 10), seed("finished", 40, 20), seed("diverged", 50)]
    found = summaries(seeds, [accuracy])
    assert (found["median/test_top1_accuracy"], found["high/test_top1_accuracy"]) == (80, 90)
    assert math.isnan(found["low/test_top1_accuracy"])
    assert curves(seeds, [accuracy]) == [(1, "curve/test_top1_accuracy", 60), (2, "curve/test_top1_accuracy", 80)]


@pytest.mark.parametrize(
    ("about", "shown"),
    [
        ({"metric": TEST}, (VALIDATION, TEST)),
        ({"metric": "test_ema/loss"}, ("validation_ema/loss", "test_ema/loss")),
        ({"metric": TEST, "select": {"over": ["optim.lr"], "by": "validation/loss"}}, ("validation/loss", TEST)),
        ({"metric": VALIDATION}, (None, VALIDATION)),
        ({"metric": "train/loss"}, (None, "train/loss")),
    ],
)
def test_settings_are_selected_by_the_counterpart_on_validation(
    about: dict[str, object], shown: tuple[str | None, str]
) -> None:
    assert shown_metrics(about) == shown
