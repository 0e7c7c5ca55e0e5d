"""What is drawn stands where it was measured."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.report.figures.made_up import NORMS, batch_sizes, curves_of, decays, made_up, norms, random_search
from wsnet.report.curves import Curves, SeedCurve, median_curve
from wsnet.report.figures import figures
from wsnet.report.figures.lines import positions
from wsnet.report.results import Results
from wsnet.report.tables.pivot import pivot

EIGHT = {"model.norm.name": "batch", "train.batch_size": 8}
SIXTEEN = {"model.norm.name": "batch", "train.batch_size": 16}


def drawn(results: Results, name: str = "figure", curves: Curves | None = None) -> Figure:
    """A figure of these results."""
    return figures(results, pivot(results), curves)[name]()


def points(figure: Figure, gid: str) -> list[tuple[float, float]]:
    """The places of everything of one kind."""
    lines = [line for axes in figure.axes for line in axes.lines if line.get_gid() == gid]
    return [(float(x), float(y)) for line in lines for x, y in zip(*line.get_data(), strict=True)]


def lines_of(*settings: tuple[dict[str, Any], list[float | None]], **options: Any) -> Results:
    """Results with batch sizes as columns."""
    return made_up(settings, rows=["model.norm.name"], columns="train.batch_size", **options)


def test_every_seed_is_a_dot_and_the_median_a_point_of_the_line() -> None:
    figure = drawn(lines_of((EIGHT, [3, 1, 2]), (SIXTEEN, [5, 4, 9])))
    assert [y for _, y in points(figure, "seeds")] == [3, 1, 2, 5, 4, 9]
    assert points(figure, "middle") == [(0.0, 2.0), (1.0, 5.0)]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["8", "16"]
    assert figure.axes[0].get_xlabel() == "batch size" and figure.axes[0].get_ylabel() == "test error (%)"


def test_where_means_are_asked_for_figures_show_means() -> None:
    def mean(results: Results) -> Results:
        return replace(results, header=replace(results.header, statistic="mean"))

    lines = drawn(mean(lines_of((EIGHT, [3, 1, 5]), (SIXTEEN, [4, 4, math.inf]))))
    assert points(lines, "middle")[0] == (0.0, 3.0)
    assert math.isnan(points(lines, "middle")[1][1])  # The mean of a diverged seed and others is infinite.
    strip = drawn(mean(made_up([(norm, [3.0, 1.0, 8.0]) for norm in NORMS[:2]])))
    assert [x for x, _ in points(strip, "middle")] == [4] * 4
    assert "mean" in [text.get_text() for text in strip.legends[0].get_texts()]


def test_rows_are_drawn_apart() -> None:
    group = {"model.norm.name": "group"}
    rows = [(EIGHT, [2.0]), (SIXTEEN, [2.0]), ({**SIXTEEN, **group}, [2.0]), ({**EIGHT, **group}, [2.0])]
    figure = drawn(lines_of(*rows))
    xs = [x for x, _ in points(figure, "middle")]
    assert len(set(xs)) == 4 and max(abs(x - round(x)) for x in xs) < 0.1


@pytest.mark.parametrize("sizes", [(1, 8, 64), (32, 64), (1, 2, 4, 8, 16, 32, 64, 128, 256)])
def test_every_row_lies_within_the_axes_and_near_its_column(sizes: tuple[int, ...]) -> None:
    figure = drawn(batch_sizes(12, sizes=sizes, seeds=2))
    low, high = figure.axes[0].get_xlim()
    xs = sorted(x for x, _ in points(figure, "middle"))
    assert low < xs[0] and xs[-1] < high
    ticks = figure.axes[0].get_xticks()
    nearest = min(second - first for first, second in itertools.pairwise(ticks))
    assert all(min(abs(x - tick) for tick in ticks) < 0.35 * nearest for x in xs)


def test_a_missing_cell_interrupts_its_line() -> None:
    other = {"model.norm.name": "group"}
    rows = [({**EIGHT, "train.batch_size": size}, [1.0]) for size in (8, 16, 32)]
    rows += [({**EIGHT, **other, "train.batch_size": size}, [2.0]) for size in (8, 32)]
    ys = [y for _, y in points(drawn(lines_of(*rows)), "middle")]
    assert ys[:4] == [1, 1, 1, 2] and math.isnan(ys[4]) and ys[5] == 2


def test_diverged_seeds_lie_beyond_the_worst_value() -> None:
    figure = drawn(lines_of((EIGHT, [3, 1, math.inf]), (SIXTEEN, [math.inf, math.inf, 9])))
    ys = [y for _, y in points(figure, "diverged")]
    assert len(ys) == 2 and min(ys) > 9
    assert "diverged" in [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert math.isnan(points(figure, "middle")[1][1])
    low, high = figure.axes[0].get_ylim()
    assert low < 1 and ys[0] < high


def test_a_diverged_accuracy_lies_below_all_others() -> None:
    metric = "test/top1_accuracy"
    figure = drawn(lines_of((EIGHT, [93, 91, math.inf]), (SIXTEEN, [94, 95, 96]), metric=metric))
    assert points(figure, "diverged")[0][1] < 91


def test_words_on_the_column_axis_are_not_joined() -> None:
    settings = [
        ({"model.norm.name": norm, "optim.name": name}, [1.0, 2.0]) for norm in "ab" for name in ("sgd", "adam")
    ]
    figure = drawn(made_up(settings, rows=["model.norm.name"], columns="optim.name"))
    medians = [line for line in figure.axes[0].lines if line.get_gid() == "middle"]
    assert {line.get_linestyle() for line in medians} == {"None"}
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["SGD", "Adam"]


@pytest.mark.parametrize(
    ("columns", "places"),
    [
        (("1", "2", "8"), [0, 1, 3]),
        (("32", "2", "4"), [4, 0, 1]),
        (("0.01", "0.1", "1"), [0, 1, 2]),
        (("20", "32", "44"), [0, 1, 2]),
        (("0", "1e-4", "5e-4"), [0, 1, 2]),
    ],
)
def test_numbers_that_grow_by_factors_stand_at_their_logarithms(columns: tuple[str], places: list[float]) -> None:
    found, is_ordered = positions("train.batch_size", columns)
    assert [found[column] for column in columns] == pytest.approx(places) and is_ordered


def test_a_few_far_higher_values_make_the_axis_logarithmic() -> None:
    assert drawn(batch_sizes(6)).axes[0].get_yscale() == "log"
    assert drawn(batch_sizes(6, sizes=(64, 128, 256))).axes[0].get_yscale() == "linear"


def test_a_strip_has_every_seed_and_the_median() -> None:
    figure = drawn(made_up([(norm, [3.0, 1.0, 2.0]) for norm in NORMS[:2]]))
    assert sorted(x for x, _ in points(figure, "seeds")) == [1, 1, 2, 2, 3, 3]
    assert [x for x, _ in points(figure, "middle")] == [2] * 4  # Both ends of each bar.
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["BatchNorm", "BatchNorm, recomputed statistics"]


def test_a_strip_counts_diverged_seeds() -> None:
    figure = drawn(norms(5))
    texts = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts if text.get_gid() == "diverged"}
    assert set(texts) == {"1/5", "5/5"}
    assert min(texts.values()) > max(x for x, _ in points(figure, "seeds"))


def test_a_heat_map_has_the_value_in_each_cell() -> None:
    figure = drawn(decays())
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("–") == 3 and "8.00" in texts and "18.6\n@10" in texts  # noqa: RUF001
    hatched = [patch for patch in figure.axes[0].patches if patch.get_gid() == "diverged"]
    assert len(hatched) == 3 and {patch.get_hatch() for patch in hatched} == {"////"}
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][:2] == ["15/16", "31/32"]
    assert figure.axes[0].get_xlabel() == "backward decay" and figure.axes[0].get_ylabel() == "forward decay"


def test_a_random_search_has_logarithmic_axes_where_values_span_decades() -> None:
    figure = drawn(random_search())
    scales = {axes.get_xlabel(): axes.get_xscale() for axes in figure.axes}
    assert scales == {"learning rate": "log", "weight decay": "log", "momentum": "linear"}
    results = random_search()
    measured = {trial.metrics["test/top1_error"] for trial in results.trials if trial.metrics}
    first = [line for line in figure.axes[0].lines if line.get_gid() == "middle"]
    assert {float(y) for line in first for y in line.get_ydata()} == measured


def test_learning_curves_are_medians_with_the_range_as_a_band() -> None:
    results = norms(2, seeds=3)
    curves = curves_of(results)
    figure = drawn(results, "figure-curves", curves)
    curve = curves.by_setting["000"]["test/top1_error"]
    line = next(line for line in figure.axes[0].lines if line.get_gid() == "medians")
    np.testing.assert_array_equal(line.get_ydata(), curve.median)
    bands = [band for band in figure.axes[0].collections if band.get_gid() == "band"]
    assert len(bands) == 2
    ends = bands[0].get_paths()[0].vertices
    assert ends[:, 1].max() == curve.high.max() and ends[:, 1].min() == curve.low.min()


def test_a_panel_says_how_far_its_curves_go_beyond_the_axis() -> None:
    results = norms(2, seeds=3)
    figure = drawn(results, "figure-curves", curves_of(results))
    axes = figure.axes[0]
    highest = max(max(line.get_ydata()) for line in axes.lines if line.get_gid() == "medians")
    assert highest > axes.get_ylim()[1]
    assert [text.get_text() for text in axes.texts if text.get_gid() == "beyond"] == [f"↑ from {highest:.3g}"]


def test_many_curves_have_no_bands_but_panels_by_column() -> None:
    results = batch_sizes(5, sizes=(2, 8), seeds=3)
    figure = drawn(results, "figure-curves", curves_of(results))
    assert [axes.get_title() for axes in figure.axes] == ["batch size 2", "batch size 8"]
    assert not [band for axes in figure.axes for band in axes.collections if band.get_gid() == "band"]


def test_a_seed_that_diverged_is_a_cross_in_its_learning_curves() -> None:
    metric = "test/top1_error"
    seeds = [
        SeedCurve(epochs=np.arange(1.0, 4), values={metric: np.array([9.0, 5, 4])}),
        SeedCurve(epochs=np.arange(1.0, 3), values={metric: np.array([9.0, math.nan])}, diverged=True),
        SeedCurve(epochs=np.arange(1.0, 4), values={metric: np.array([9.0, 6, 4])}),
    ]
    curve = median_curve(seeds, metric)
    assert curve is not None
    results = made_up([(NORMS[0], [4.0, math.inf, 4.0])])
    curves = Curves(metrics=(metric,), by_setting={"000": {metric: curve}})
    ((x, _),) = points(drawn(results, "figure-curves", curves), "diverged")
    assert x == 2


def test_rungs_show_how_far_each_setting_was_trained() -> None:
    settings = [({"optim.lr": 0.1 * (i + 1), "model.depth": 20}, [float(i)]) for i in range(4)]
    results = made_up(settings, stopped={2: 10, 3: 30}, metric="validation/top1_error", epochs=90)
    figure = drawn(results, "figure-rungs")
    assert [x for x, _ in points(figure, "finished")] == [90, 90]
    assert sorted(x for x, _ in points(figure, "stopped")) == [10, 30]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["10", "30", "90"]


def test_training_time_names_the_column_of_each_point() -> None:
    results = batch_sizes(2, sizes=(2, 8), seeds=3)
    axes = drawn(results, "figure-time", curves_of(results)).axes[0]
    assert [text.get_text() for text in axes.texts if text.get_gid() == "column"] == ["2", "8"] * 2


def test_training_time_has_a_readable_unit() -> None:
    results = norms(3)
    axes = drawn(results, "figure-time", curves_of(results)).axes[0]
    assert axes.get_xlabel() == "training time (minutes)"
