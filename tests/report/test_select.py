"""Choosing each cell's setting on the validation split."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from wsnet.config.published import PublishedConfig
from wsnet.config.report import SelectConfig
from wsnet.report import ReportError, print_table, write_report
from wsnet.report.figures import figures, render
from wsnet.report.header import Header, axis_text
from wsnet.report.results import Results
from wsnet.report.tables.csv_files import table_csv, trials_csv
from wsnet.report.tables.markdown import markdown
from wsnet.report.tables.pivot import pivot
from wsnet.report.tables.table import tabulate
from wsnet.report.tables.text import MISSING, caption, cell_text
from wsnet.storage import Manifest, Outcome, TrialEntry

TEST, VALIDATION = "test/top1_error", "validation/top1_error"
Seeds = Sequence[tuple[str, float, float]]
"""Status, validation error and test error of each seed of a candidate."""


def done(*errors: tuple[float, float]) -> Seeds:
    return [("finished", validation, test) for validation, test in errors]


def results(
    cells: Mapping[tuple[str, int], Mapping[float, Seeds]],
    *,
    select: SelectConfig | None = SelectConfig(over=("lr",)),  # noqa: B008
    **header: Any,
) -> Results:
    """Cells by norm and batch size, each with its candidates by learning rate."""
    asked: dict[str, Any] = {
        "name": "s", "question": "q", "rows": ("norm",), "columns": "batch", "metric": TEST, "statistic": "median",
        "axes": ("norm", "batch", "lr"), "seeds": 3, "column_values": tuple(map(axis_text, (8, 64))),
    }  # fmt: skip
    entries, outcomes = [], {}
    for (norm, batch), candidates in cells.items():
        for rate, seeds in candidates.items():
            for seed, (status, validation, test) in enumerate(seeds):
                name = f"{norm}-{batch}-{rate}"
                metrics = {} if status == "running" else {TEST: test, VALIDATION: validation}
                entries.append(entry(name, seed, {"norm": norm, "batch": batch, "lr": rate}))
                outcomes[entries[-1].trial_id] = Outcome(status=status, record={"epoch": 9, **metrics})
    return Results.of(Header(**{**asked, "select": select, **header}), entries, outcomes)


def entry(setting: str, seed: int, *places: dict[str, Any]) -> TrialEntry:
    axes, *also = places
    return TrialEntry(trial_id=f"{setting}-{seed}", setting_id=setting, seed=seed, name="", axes=axes, also=also)


def one(candidates: Mapping[float, Seeds], **header: Any) -> str:
    """The only cell, as text."""
    found = results({("batch", 8): candidates}, **header)
    (cell,) = pivot(found).cells.values()
    return cell_text(cell, found.header)


def said(found: Results) -> str:
    return " ".join(caption(found.header, pivot(found)))


LOW_ON_TEST = done((5, 1), (6, 2), (7, 3))
LOW_ON_VALIDATION = done((2, 9), (3, 8), (4, 7))
TWO = {
    ("batch", 8): {0.1: LOW_ON_TEST, 0.2: LOW_ON_VALIDATION},
    ("batch", 64): {0.1: LOW_ON_VALIDATION, 0.2: LOW_ON_TEST, 0.4: LOW_ON_TEST},
    ("group", 8): {0.1: LOW_ON_VALIDATION, 0.2: LOW_ON_TEST},
    ("group", 64): {0.1: LOW_ON_TEST, 0.2: LOW_ON_VALIDATION},
}


def test_the_lowest_median_on_validation_is_chosen_and_its_test_error_shown_with_the_choice() -> None:
    assert one({0.1: LOW_ON_TEST, 0.2: LOW_ON_VALIDATION}) == "8.00 [7.00, 9.00] at lr=0.2"


def test_another_metric_may_decide() -> None:
    seeds = [("finished", 1.0, 2.0)] * 3
    found = results({("batch", 8): {0.1: seeds}}, select=SelectConfig(over=("lr",), by="validation/loss"))
    (cell,) = pivot(found).cells.values()
    assert cell.choice is not None and cell.choice.setting_id is None  # None of the trials has measured it.


def test_each_cell_has_its_own_choice() -> None:
    cells = pivot(results(TWO)).cells
    assert {(row[0], column): cell.choice.over for (row, column), cell in cells.items() if cell.choice} == {
        ('"batch"', "8"): ("0.2",),
        ('"batch"', "64"): ("0.1",),
        ('"group"', "8"): ("0.1",),
        ('"group"', "64"): ("0.2",),
    }


def test_of_equal_medians_the_first_in_the_sweep_is_chosen() -> None:
    assert one({0.4: done((5, 2)), 0.1: done((5, 1))}) == "2.00 n=1 at lr=0.4"


def test_a_seed_that_diverged_ranks_worst_in_the_choice_too() -> None:
    lucky = [("finished", 1.0, 1.0), ("diverged", 1.0, 1.0), ("diverged", 1.0, 1.0)]
    assert one({0.1: lucky, 0.2: LOW_ON_TEST}) == "2.00 [1.00, 3.00] at lr=0.2"
    assert one({0.1: [lucky[1]] * 3, 0.2: lucky}).startswith("diverged")


def test_a_candidate_that_was_stopped_counts_but_is_not_chosen_beside_one_that_finished() -> None:
    cells = {0.1: [("stopped", 1.0, 1.0)], 0.2: [("finished", 5.0, 6.0)], 0.4: [("diverged", 1.0, 1.0)]}
    assert one(cells) == "6.00 n=1 at lr=0.2"
    assert "lr was selected among 3 candidates by" in said(results({("batch", 8): cells}))
    rungs = {0.1: [("stopped", 4.0, 1.0)], 0.2: [("stopped", 3.0, 9.0)], 0.4: [("diverged", 1.0, 1.0)]}
    assert one(rungs) == "stopped at 9 (validation 3.00 n=1) at lr=0.2"


def test_candidates_without_a_result_count_and_are_named() -> None:
    crashed, running = [("failed", 1.0, 1.0)] * 3, [("running", 1.0, 1.0)] * 3
    found = results({("batch", 8): {0.1: crashed, 0.2: LOW_ON_TEST, 0.4: running}})
    assert "lr was selected among 3 candidates by the lowest median" in said(found)
    assert "Candidates without a result: batch, batch=8, lr=0.1; batch, batch=8, lr=0.4." in said(found)
    assert "Trials that do not count: 3 crashed, 3 unfinished." in said(found)
    assert one({0.1: crashed, 0.2: running}) == MISSING


def test_settings_that_have_not_started_are_said_to_be_no_candidates_yet() -> None:
    found = results({("batch", 8): {0.1: LOW_ON_TEST}}, settings=3)
    assert "Settings that have not started and are not counted among the candidates: 2." in said(found)
    assert "not started" not in said(results({("batch", 8): {0.1: LOW_ON_TEST}}, settings=1))


def test_the_caption_says_how_was_chosen_among_how_many_and_without_the_test_set() -> None:
    assert (
        "For each cell, lr was selected among 2 candidates by the lowest median validation/top1_error over the seeds; "
        "the test set had no part in the choice."
    ) in said(results({("batch", 8): TWO["batch", 8]}))
    assert "selected among 2 to 3 candidates by the lowest median" in said(results(TWO))
    assert "optimistic" in said(results(TWO, metric=VALIDATION)) and "optimistic" not in said(results(TWO))


def test_several_axes_may_be_chosen_over_at_once() -> None:
    both = SelectConfig(over=("lr", "batch"))
    found = results(TWO, select=both, columns=None, column_values=())
    cells = pivot(found)
    assert [cell_text(cell, found.header) for cell in cells.cells.values()] == [
        "8.00 [7.00, 9.00] at lr=0.2, batch=8",
        "8.00 [7.00, 9.00] at lr=0.1, batch=8",
    ]
    assert "lr and batch were selected among 4 to 5 candidates by" in said(found)


def test_a_setting_that_stands_at_several_candidates_is_one() -> None:
    places = [{"norm": "batch", "batch": 8, "lr": rate} for rate in (0.1, 0.2)]
    outcome = Outcome(status="finished", record={"epoch": 9, TEST: 1.0, VALIDATION: 2.0})
    found = Results.of(results({}).header, [entry("a", 0, *places)], {"a-0": outcome})
    (cell,) = pivot(found).cells.values()
    assert cell.choice is not None and cell.choice.among == 1
    assert cell_text(cell, found.header) == "1.00 n=1 at lr=0.1"


def test_other_axes_still_split_the_rows() -> None:
    found = results(TWO, rows=())
    assert pivot(found).row_keys == pivot(found).added == ("norm",)


def test_the_cells_file_has_the_choice_and_the_trials_file_every_trial() -> None:
    found = results(TWO)
    rows = list(csv.DictReader(io.StringIO(table_csv(found, pivot(found)))))
    names = ["norm", "batch", "lr", "n", "median", "low", "high", "selected_among", f"median_{VALIDATION}"]
    assert list(rows[0]) == names
    assert [list(row.values()) for row in rows][:2] == [
        ["batch", "8", "0.2", "3", "8.0", "7.0", "9.0", "2", "3.0"],
        ["batch", "64", "0.1", "3", "8.0", "7.0", "9.0", "3", "3.0"],
    ]
    assert len(trials_csv(found).splitlines()) == 1 + 3 * 9
    none = results({("batch", 8): {0.1: [("failed", 1.0, 1.0)]}})
    assert table_csv(none, pivot(none)).splitlines()[1] == "batch,8,,0,,,,1,"


def test_published_numbers_stand_beside_the_choice() -> None:
    where = {"system": "weight_normalization", "model": "ResNet-18", "norm": "batch"}
    link = PublishedConfig(where=where, match={"batch_size": "batch"})
    found = results(TWO, published=link)
    assert "8.00 [7.00, 9.00] at lr=0.2 (README " in markdown(tabulate(found)[0])
    columns = table_csv(found, pivot(found)).splitlines()[0].split(",")
    assert columns[columns.index("high") + 1 :][:3] == ["selected_among", f"median_{VALIDATION}", "published"]


@pytest.mark.parametrize("width", [24, 40, 100])
def test_the_terminal_shows_the_choice_at_any_width(width: int) -> None:
    stream = io.StringIO()
    print_table(results(TWO), Console(file=stream, width=width))
    lines = stream.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    text = " ".join(stream.getvalue().split())
    assert "at lr=0.2" in text and "at lr=0.1" in text and "selected among 2 to 3" in text


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["batch", None])
def test_the_figure_is_of_the_choices_and_its_title_says_so(columns: str | None) -> None:
    def drawn(of: Mapping[tuple[str, int], Mapping[float, Seeds]], select: SelectConfig | None) -> bytes:
        found = results(of, select=select, columns=columns)
        return render(figures(found, pivot(found), title=True)["figure"](), "png")

    select = SelectConfig(over=("lr",))
    chosen = {place: {0.2: LOW_ON_VALIDATION} for place in TWO}
    assert drawn(TWO, select) == drawn(chosen, select) != drawn(chosen, None)


def test_a_report_with_a_choice_is_written(tmp_path: Path) -> None:
    assert len(write_report(results(TWO), tmp_path)) == 8


def test_a_way_to_choose_that_is_not_known_here_is_one_line() -> None:
    report = {"metric": TEST, "select": {"over": ["lr"], "by": TEST}}
    with pytest.raises(ReportError, match=r"sweep 's': report\.select cannot be read"):
        Header.of(Manifest(name="s", question="", report=report, axes=[], trials=[]))


def with_rates(rates: Sequence[float], **header: Any) -> Results:
    """One norm at learning rates of the sweep's optimizer."""
    asked = {"axes": ("norm", "batch", "optim.lr"), "select": None, **header}
    outcome = Outcome(status="finished", record={"epoch": 9, TEST: 1.0, VALIDATION: 2.0})
    entries = [entry(f"{rate}", 0, {"norm": "batch", "batch": 8, "optim.lr": rate}) for rate in rates]
    return Results.of(results({}, **asked).header, entries, {trial.trial_id: outcome for trial in entries})


WARNING = "would be selecting on the test set; report.select chooses on the validation split."


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ({"rows": ("norm", "optim.lr")}, "rows"),
        ({"rows": ("norm",)}, "rows"),  # They are split by it.
        ({"rows": ("norm",), "columns": "optim.lr"}, "columns"),
    ],
)
def test_learning_rates_side_by_side_are_said_to_invite_selection_on_the_test_set(
    header: dict[str, Any], what: str
) -> None:
    warning = f"Taking the best of the {what} that differ in optim.lr {WARNING}"
    assert warning in said(with_rates([0.1, 0.2], **header))
    assert WARNING not in said(with_rates([0.1, 0.2], **header, metric=VALIDATION))
    assert WARNING not in said(with_rates([0.1], **header))


def test_where_the_learning_rate_is_chosen_nothing_is_left_to_select() -> None:
    found = with_rates([0.1, 0.2], select=SelectConfig(over=("optim.lr",)))
    assert "optim.lr was selected among 2" in said(found) and WARNING not in said(found)
