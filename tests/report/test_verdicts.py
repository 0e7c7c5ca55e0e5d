"""What is said of the comparisons that a sweep declared."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from scipy.stats import mannwhitneyu

from tests.report.compared import CLOSE, FIVE, SHIFTED, declared, only, results, seeds, verdicts_of
from wsnet.config.compare import AfterReport
from wsnet.config.report import SelectConfig
from wsnet.report import Header, ReportError
from wsnet.report.tables.pivot import pivot
from wsnet.report.verdicts.judge import verdicts
from wsnet.storage import Manifest

INF = math.inf
BATCH, GROUP, LAYER = ('"batch"',), ('"group"',), ('"layer"',)
TWO = {("batch", 2): FIVE, ("group", 2): SHIFTED}
PAIRS = TWO | {("batch", 8): FIVE, ("group", 8): CLOSE}


def test_five_seeds_against_five_without_overlap_are_a_verdict_in_one_sentence() -> None:
    assert only(TWO).text == (
        "GroupNorm beats BatchNorm at batch size 2: 5 of 5 seeds better than all of BatchNorm, difference 3.00 points "
        "[2.55, 3.45] (96.8 % interval), p = 0.0079."
    )


def test_an_open_comparison_says_how_many_seeds_would_settle_it() -> None:
    found = only({("batch", 8): FIVE, ("group", 8): CLOSE})
    assert found.text == (
        "open: GroupNorm against BatchNorm at batch size 8: difference 0.20 points [-0.35, 0.70] (96.8 % interval), "
        f"p = 0.25; about {found.seeds_needed} seeds each, in a new sweep, would settle it (an estimate)."
    )
    assert found.outcome == "open" and found.seeds_needed is not None and found.seeds_needed > 5


def test_an_open_comparison_without_a_difference_is_said_to_take_too_many_seeds() -> None:
    assert only({("batch", 8): FIVE, ("group", 8): FIVE}).text.endswith(
        "p = 1; an estimated 100 seeds or more would be needed for each."
    )


def test_a_setting_that_is_worse_is_beaten_by_the_baseline() -> None:
    found = only({("batch", 2): SHIFTED, ("group", 2): FIVE})
    said = (
        "BatchNorm beats GroupNorm at batch size 2: 5 of 5 seeds better than all of GroupNorm, difference 3.00 points"
    )
    assert found.text.startswith(f"{said} [2.55, 3.45]")
    assert found.outcome == "worse" and found.improvement == 0.0
    assert found.difference is not None and found.difference.estimate == pytest.approx(-3)


def test_three_seeds_against_three_settle_nothing_and_say_so() -> None:
    found = only({("batch", 2): FIVE[:3], ("group", 2): SHIFTED[:3]}, seeds=3)
    assert found.p == pytest.approx(0.1) and found.outcome == "open"
    assert "(90.0 % interval), p = 0.1; 3 seeds against 3 cannot settle it; about " in found.text


@pytest.mark.parametrize(
    ("metric", "outcome", "difference"),
    [
        ("test/top1_error", "better", "difference 3.00 points"),
        ("validation/top1_accuracy", "worse", "difference 3.00 points"),
        ("train/loss", "better", "difference 3 ["),
    ],
)
def test_what_is_better_depends_on_the_metric(metric: str, outcome: str, difference: str) -> None:
    found = only(TWO, metric=metric)
    assert found.outcome == outcome and difference in found.text


def test_p_values_are_corrected_for_all_declared_comparisons() -> None:
    norms = ("group", "layer", "online", "instance")
    cells = {("batch", 2): FIVE} | {(norm, 2): [v - 3 * (i == 0) for v in FIVE] for i, norm in enumerate(norms)}
    first, *others = verdicts_of(cells).verdicts
    assert first.p == pytest.approx(2 / 252) and first.adjusted == pytest.approx(8 / 252)
    assert "p = 0.032 after Holm over 4 comparisons." in first.text
    assert [other.adjusted for other in others] == [1.0] * 3


def test_too_many_comparisons_leave_even_five_seeds_without_overlap_open() -> None:
    cells = {("batch", 2): FIVE} | {(f"n{i}", 2): SHIFTED for i in range(7)}
    found = verdicts_of(cells).verdicts
    assert {one.outcome for one in found} == {"open"}
    assert "5 seeds against 5 cannot settle it; about " in found[0].text


def test_comparisons_still_to_come_count_in_the_family_and_those_without_any_value_do_not() -> None:
    running = [("running", None)] * 5
    found = verdicts_of(TWO | {("layer", 2): running, ("online", 2): [("failed", None)] * 5}, compare=declared(count=4))
    assert found.family == 3  # group, layer, and one that has not started.
    assert "Comparisons that have not started: 1." in found.lines()[0]
    texts = [one.text for one in found.verdicts]
    assert texts[1:] == [
        "not tested: LayerNorm against BatchNorm at batch size 2: no value yet of LayerNorm.",
        "not tested: online norm against BatchNorm at batch size 2: no value of online norm.",
    ]


def test_seeds_under_way_keep_a_comparison_without_a_p_value() -> None:
    found = only({("batch", 2): FIVE, ("group", 2): [*SHIFTED[:3], ("running", 3.0)]})
    assert (found.p, found.outcome, found.is_pending) == (None, "untested", True)
    assert "no p-value since 3 and 5 of 5 seeds have finished" in found.text


def test_seeds_that_the_scheduler_stopped_keep_a_comparison_without_a_p_value() -> None:
    stopped = {("batch", 2): FIVE, ("group", 2): [*seeds(*SHIFTED[:4]), ("stopped", 5.0)]}
    assert only(stopped).p is None
    assert only(stopped, metric="validation/top1_error").p is None  # It has a value, but not of the last epoch.


def test_a_seed_that_crashed_is_missing_but_the_others_are_tested() -> None:
    found = only({("batch", 2): FIVE, ("group", 2): [*seeds(*SHIFTED[:4]), ("failed", None)]})
    assert found.p == pytest.approx(mannwhitneyu(FIVE, SHIFTED[:4], method="exact").pvalue)
    assert found.marks == ("incomplete",) and found.text.endswith("p = 0.016; 1 of 5 seeds of GroupNorm crashed.")


def test_seeds_that_diverged_count_as_worst_and_are_named() -> None:
    diverged = [*seeds(*FIVE[:3]), ("diverged", None), ("diverged", 1.0)]
    found = only({("batch", 2): diverged, ("group", 2): SHIFTED})
    assert found.outcome == "better" and "diverged" in found.marks
    assert "difference 3.10 points [2.55, ∞] (96.8 % interval)" in found.text
    assert found.text.endswith("2 of 5 seeds of BatchNorm diverged and count as worst.")
    everyone = only({("batch", 2): [("diverged", None)] * 5, ("group", 2): SHIFTED})
    assert "no finite difference, p = 0.0079" in everyone.text


def test_seeds_added_after_a_report_take_the_p_value_away_and_are_named() -> None:
    found = only(TWO, after_report=AfterReport(seeds=(5, 6)))
    assert found.p is None and found.adjusted is None and found.marks == ("added seeds",)
    assert found.text.startswith(
        "not tested: GroupNorm against BatchNorm at batch size 2: 5 of 5 seeds better than all of"
    )
    assert found.text.endswith("no p-value since seeds 5, 6 were added after a report was drawn.")
    removed = only(TWO, after_report=AfterReport(removed=(3,)))
    assert removed.text.endswith("no p-value since seed 3 was taken out after a report was drawn.")


def test_comparisons_declared_after_a_report_carry_no_p_value() -> None:
    found = verdicts_of(TWO, after_report=AfterReport(compare_changed=True))
    assert found.lines()[0].startswith("1 comparison declared after a report was drawn.")
    assert "p = " not in " ".join(found.lines())
    assert found.lines()[1].endswith("the comparisons were declared or changed after a report was drawn.")


def test_another_metric_than_the_declared_one_is_not_tested() -> None:
    found = only(TWO, declared_metric="test/top1_accuracy")
    assert found.p is None and found.text.endswith("since the comparisons were declared for test/top1_accuracy.")


def test_a_metric_that_settings_were_chosen_by_is_not_tested() -> None:
    select = SelectConfig(over=("optim.lr",), by="validation/top1_error")
    found = results(TWO, metric="validation/top1_error")
    chosen = replace(found.header, select=select, axes=(*found.header.axes, "optim.lr"))
    trials = tuple(replace(trial, axes={**trial.axes, "optim.lr": "0.1"}) for trial in found.trials)
    found = replace(found, header=chosen, trials=trials)
    (verdict,) = verdicts(found, pivot(found)).verdicts
    assert verdict.p is None and verdict.text.endswith("since the settings were chosen by this metric.")


def test_only_the_rows_and_columns_that_were_named_are_compared() -> None:
    cells = PAIRS | {("layer", 2): FIVE, ("layer", 8): FIVE}
    found = verdicts_of(cells, compare=declared(settings=["group"], at=[8]))
    assert [(one.row, one.against, one.column) for one in found.verdicts] == [(GROUP, BATCH, "8")]
    assert len(verdicts_of(cells).verdicts) == 4
    assert len(verdicts_of(cells, compare=declared(at=[2])).verdicts) == 2


def test_a_setting_that_is_the_same_trial_as_the_baseline_is_not_compared_with_it() -> None:
    found = results(TWO)
    same = replace(found, trials=tuple(replace(trial, setting_id="one") for trial in found.trials))
    assert verdicts(same, pivot(same)).verdicts == ()


@pytest.mark.parametrize("named", ["4", "8"])
def test_a_baseline_that_stands_at_several_places_is_found_by_any_and_compared_once(named: str) -> None:
    keys = ("model.norm.name", "train.micro_batch_size")
    compare = declared().model_copy(update={"keys": keys, "against": ('"batch"', named)})
    found = results(TWO, compare=compare, axes=("model.norm.name", "train.micro_batch_size", "train.batch_size"))
    places = ({**trial.axes, "train.micro_batch_size": micro} for micro in ("4", "8") for trial in found.trials)
    trials = tuple(replace(trial, axes=axes) for trial, axes in zip(found.trials * 2, places, strict=True))
    for rows in (("model.norm.name",), ("model.norm.name", "train.micro_batch_size")):
        placed = replace(found, header=replace(found.header, rows=rows), trials=trials)
        (verdict,) = verdicts(placed, pivot(placed)).verdicts
        assert (verdict.outcome, len(verdict.values)) == ("better", 5)


@pytest.mark.parametrize("entry", ["compare", "after_report"])
def test_comparisons_that_cannot_be_read_are_one_line(entry: str) -> None:
    report = {"metric": "test/top1_error", entry: {"seeds": 5}}
    with pytest.raises(ReportError, match=rf"sweep 's': report\.{entry} cannot be read"):
        Header.of(Manifest(name="s", question="", report=report, axes=[], trials=[]))


def test_a_sweep_that_declared_nothing_gets_no_verdicts() -> None:
    found = verdicts_of(TWO, compare=None)
    assert found.verdicts == () and found.lines() == [] and not found.may_be_bold(GROUP, "2")


@pytest.mark.parametrize(
    ("cells", "bold"),
    [
        (TWO, {(GROUP, "2")}),
        (PAIRS, {(GROUP, "2")}),  # At 8 it is open.
        ({("batch", 2): SHIFTED, ("group", 2): FIVE, ("layer", 2): FIVE}, {(BATCH, "2")}),
        ({("batch", 2): SHIFTED, ("group", 2): FIVE, ("layer", 2): CLOSE[:3]}, set()),  # One is not decided yet.
        (TWO | {("layer", 2): SHIFTED}, set()),  # Two are best.
        (TWO | {("layer", 2): [v - 0.01 for v in SHIFTED]}, {(LAYER, "2")}),  # Nothing is said of it and group.
    ],
)
def test_the_best_of_a_column_is_bold_only_where_it_won_all_its_comparisons(
    cells: dict[tuple[str, int], Sequence[float]], bold: set[tuple[tuple[str], str]]
) -> None:
    found = verdicts_of(cells)
    places = [((f'"{norm}"',), str(batch)) for norm, batch in cells]
    assert {place for place in places if found.may_be_bold(*place)} == bold


def test_the_heading_says_how_far_the_test_set_can_be_trusted() -> None:
    said = "With 300 test images, a rate of 8.25 % has a standard error of 1.59 points from the choice of images"
    assert said in verdicts_of(TWO, test_images=300).lines()[0]
    assert "test images" not in verdicts_of(TWO, test_images=300, metric="validation/top1_error").lines()[0]
    assert "test images" not in verdicts_of(TWO).lines()[0]


def test_the_heading_is_followed_by_a_line_for_each_comparison() -> None:
    first, *lines = verdicts_of(PAIRS, compare=declared(count=2)).lines()
    assert first == (
        "2 comparisons declared before the run. Exact two-sided rank-sum test of unpaired seeds; p-values are after "
        "Holm's correction over 2 comparisons. Differences are Hodges-Lehmann estimates; each interval is for its "
        "comparison alone."
    )
    assert [line.split(":")[0] for line in lines] == ["GroupNorm beats BatchNorm at batch size 2", "open"]


def test_a_table_without_columns_names_the_settings_alone() -> None:
    found = only(TWO, columns=None, column_values=(), axes=("model.norm.name",), rows=("model.norm.name",))
    assert found.text.startswith("GroupNorm beats BatchNorm: 5 of 5 seeds")


def test_a_column_without_the_baseline_is_named() -> None:
    cells = {("batch", 8): seeds(*FIVE), ("group", 8): seeds(*CLOSE), ("group", 64): seeds(*CLOSE)}
    asked = declared(count=1).model_copy(update={"without_baseline": ("64",)})
    (heading, *found) = verdicts_of(cells, compare=asked).lines()
    assert "Nothing is compared at batch size 64, where the baseline has no setting." in heading
    assert len(found) == 1


def test_the_heading_counts_no_fewer_comparisons_than_it_lists() -> None:
    cells = {("batch", 8): seeds(*FIVE), ("group", 8): seeds(*CLOSE), ("layer", 8): seeds(*SHIFTED)}
    found = verdicts_of(cells, compare=declared(count=1))  # As an earlier version counted them.
    assert found.lines()[0].startswith("2 comparisons declared before the run.")
    assert found.family == 2


def test_a_ranking_of_settings_compares_those_at_the_same_value_of_the_columns_key() -> None:
    sparse = {(norm, batch): seeds(*FIVE) for norm, batch in (("layer", 16), ("instance", 32), ("online", 64))}
    cells = {("batch", 8): seeds(*FIVE), ("group", 8): seeds(*SHIFTED), **sparse}
    found = verdicts_of(cells, compare=declared(count=1))
    (verdict,) = found.verdicts
    assert verdict.text.startswith("GroupNorm, batch size 8 beats BatchNorm, batch size 8: 5 of 5 seeds")
    assert found.may_be_bold(verdict.row, verdict.column)
