"""The saved views of MLflow's run table."""

import pytest

from tests.tracking.sweeps import manifest
from wsnet.tracking.views import pages, view_state, view_tags

PREFIX = "mlflow.sharedViewState."


def test_every_view_has_a_tag_and_a_page_and_hides_what_left_the_sweep() -> None:
    views = view_tags(manifest(), has_validation=True)
    for (title, page), (key, tag) in zip(pages("7"), views.items(), strict=True):
        assert page.startswith("#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=")
        assert f"viewStateShareKey={key.removeprefix(PREFIX)}" in page.split("&", 1)[1].split("&compare")
        assert f'"name": "{title}"' in tag
        state = view_state(tag)
        assert "tags.`wsnet.in_sweep` = 'true'" in state["searchFilter"]
        assert set(state["columnWidths"]) == set(state["columnOrder"]) == set(state["selectedColumns"])
    kinds = ["'setting'" in view_state(tag)["searchFilter"] for tag in views.values()]
    assert kinds == [True, True, False]


def test_settings_are_sorted_by_their_median_on_validation() -> None:
    for key in ("wsnet", "wsnet-chart"):
        state = view_state(view_tags(manifest(), has_validation=True)[PREFIX + key])
        assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`median/validation_top1_error`", True)


def test_no_view_sorts_by_a_test_metric() -> None:
    for metric in ("test/top1_error", "test/top1_accuracy", "test_ema/loss"):
        for has_validation in (True, False):
            for tag in view_tags(manifest(metric=metric), has_validation=has_validation).values():
                assert "test" not in view_state(tag)["orderByKey"]


def test_without_a_validation_split_settings_are_in_the_order_of_the_sweep() -> None:
    state = view_state(view_tags(manifest(), has_validation=False)[f"{PREFIX}wsnet"])
    assert (state["orderByKey"], state["orderByAsc"]) == ("tags.`wsnet.order`", True)
    assert not any("validation" in column for column in state["selectedColumns"])


@pytest.mark.parametrize(("metric", "ascending"), [("validation/top1_accuracy", False), ("train/loss", True)])
def test_a_metric_that_is_not_of_the_test_set_sorts_by_itself_best_first(metric: str, ascending: bool) -> None:
    state = view_state(view_tags(manifest(metric=metric), has_validation=False)[f"{PREFIX}wsnet"])
    assert state["orderByKey"] == f"metrics.`median/{metric.replace('/', '_')}`"
    assert state["orderByAsc"] is ascending


def test_the_metrics_are_in_sight_on_a_screen_of_1400_pixels() -> None:
    state = view_state(view_tags(manifest(), has_validation=True)[f"{PREFIX}wsnet"])
    metrics = [column for column in state["columnOrder"] if column.startswith("metrics.")]
    assert state["columnOrder"][: len(metrics)] == metrics
    # MLflow's own parts take 635 pixels on the left: its menu, the check boxes, the run's name and its date.
    medians_and_range = metrics[:4]
    assert 635 + sum(state["columnWidths"][column] for column in medians_and_range) <= 1400


def test_the_chart_shows_medians_as_bars_and_their_curves_as_lines() -> None:
    state = view_state(view_tags(manifest(), has_validation=True)[f"{PREFIX}wsnet-chart"])
    assert [(chart["type"], chart["metricKey"]) for chart in state["compareRunCharts"]] == [
        ("BAR", "median/validation_top1_error"),
        ("BAR", "median/test_top1_error"),
        ("LINE", "curve/validation_top1_error"),
        ("LINE", "curve/test_top1_error"),
    ]
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == sections
