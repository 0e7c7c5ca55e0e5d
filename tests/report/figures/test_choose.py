"""Which figures are drawn of which results."""

import math
import subprocess
import sys

import pytest

from tests.report.figures.made_up import (
    NORMS,
    TEST,
    batch_sizes,
    curves_of,
    decays,
    made_up,
    norms,
    random_search,
)
from wsnet.config.report import SelectConfig
from wsnet.report.figures import figures, render
from wsnet.report.figures.choose import main_kind, searched_axes
from wsnet.report.figures.table import Table
from wsnet.report.results import Results
from wsnet.report.tables.pivot import pivot


def main(results: Results) -> str:
    """The kind of the main figure."""
    return main_kind(Table(results, pivot(results)))


def test_a_column_axis_makes_lines() -> None:
    assert main(batch_sizes(3)) == "lines"


def test_without_a_column_axis_there_is_a_strip_plot() -> None:
    assert main(norms(3)) == "strip"


def test_a_single_column_makes_a_strip_plot() -> None:
    assert main(batch_sizes(3, sizes=(32,))) == "strip"


def test_two_numeric_axes_make_a_heat_map() -> None:
    assert main(decays()) == "heat_map"


def test_a_heat_map_needs_four_values_on_each_axis() -> None:
    settings = [({"optim.lr": 0.1 * i, "train.batch_size": 2**j}, [1.0]) for i in range(1, 4) for j in range(8)]
    assert main(made_up(settings, rows=["optim.lr"], columns="train.batch_size")) == "lines"


def test_more_rows_than_lines_can_show_make_a_heat_map() -> None:
    settings = [({"case": f"net {i}", "train.batch_size": 2**j}, [float(i + j)]) for i in range(17) for j in range(3)]
    results = made_up(settings, rows=["case"], columns="train.batch_size")
    assert main(results) == "heat_map"
    figure = figures(results, pivot(results))["figure"]()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [f"net {i}" for i in range(17)]


def test_a_random_search_makes_a_scatter_plot() -> None:
    results = random_search()
    assert main(results) == "scatter"
    searched = searched_axes(Table(results, pivot(results)))
    assert searched == ["optim.lr", "optim.weight_decay", "optim.momentum"]


def test_listed_cases_are_no_random_search() -> None:
    settings = [({"case": f"net {i}", "model.depth": 10 * i, "optim.lr": 0.01 * i}, [float(i)]) for i in range(1, 9)]
    assert main(made_up(settings, rows=["case"])) == "strip"


def test_a_grid_is_no_random_search() -> None:
    settings = [({"train.batch_size": 2**j, "optim.lr": 0.1}, [1.0]) for j in range(9)]
    assert main(made_up(settings, rows=["optim.lr"], columns="train.batch_size")) == "lines"


def test_further_figures_are_named_after_what_they_show() -> None:
    results = batch_sizes(2, sizes=(2, 8, 32), seeds=2)
    assert list(figures(results, pivot(results))) == ["figure", "figure-strip"]
    found = figures(results, pivot(results), curves_of(results))
    assert list(found) == ["figure", "figure-strip", "figure-curves", "figure-time"]
    assert "figure-rungs" in figures(decays(), pivot(decays())) and "figure-lines" in figures(decays(), pivot(decays()))


def test_known_parameters_are_drawn_against() -> None:
    results = norms(3)
    facts = {f"{index:03x}": {"parameters": 1e6 * (index + 1)} for index in range(3)}
    assert "figure-parameters" in figures(results, pivot(results), facts=facts)
    same = {setting: {"parameters": 1e6} for setting in facts}
    assert "figure-parameters" not in figures(results, pivot(results), facts=same)


def test_curves_of_another_metric_are_not_drawn() -> None:
    results = norms(2)
    other = results.with_metric("validation/top1_error")
    assert "figure-curves" not in figures(other, pivot(other), curves_of(results))


def test_what_was_chosen_over_is_drawn_against_the_metric_that_decided() -> None:
    settings = [
        ({"model.norm.name": norm, "optim.lr": rate}, [5.0 + rate])
        for norm in ("batch", "group")
        for rate in (0.01, 0.03, 0.1, 0.3)
    ]
    results = made_up(settings, rows=["model.norm.name"], select=SelectConfig(over=("optim.lr",)))
    scatter = figures(results, pivot(results))["figure-scatter"]()
    (axes,) = [axes for axes in scatter.axes if axes.get_visible()]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning rate", "validation error (%)")
    points = [y for line in axes.lines if line.get_gid() == "middle" for y in line.get_ydata()]
    assert len(points) == 8  # Every candidate, not only those chosen.


@pytest.mark.parametrize("values", [[None, None], [math.inf, math.inf], [3.0, 3.0]])
def test_every_figure_is_drawn_of_few_or_no_values(values: list[float | None]) -> None:
    settings = [({**norm, "train.batch_size": 8}, values) for norm in NORMS[:2]]
    for columns in (None, "train.batch_size"):
        results = made_up(settings, rows=["model.norm.name"], columns=columns)
        drawn = {name: draw() for name, draw in figures(results, pivot(results), curves_of(results)).items()}
        assert "figure" in drawn and all(render(figure, "png").startswith(b"\x89PNG") for figure in drawn.values())


def test_nothing_started_is_said_so() -> None:
    results = Results(norms(2).header, ())
    figure = figures(results, pivot(results))["figure"]()
    assert "no results yet" in [text.get_text() for text in figure.axes[0].texts]
    assert results.header.metric == TEST


@pytest.mark.slow
def test_importing_figures_and_names_loads_neither_matplotlib_nor_numpy() -> None:
    code = "import sys, wsnet.report.figures, wsnet.report.names\n"
    code += "print({'matplotlib', 'numpy', 'pyarrow', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
