"""Trials arranged into cells."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from wsnet.report import ReportError
from wsnet.report.header import Header, axis_text
from wsnet.report.results import Results
from wsnet.report.tables.csv_files import table_csv
from wsnet.report.tables.pivot import Pivot, pivot
from wsnet.report.tables.text import MISSING, caption, cell_text, footnote
from wsnet.storage import Outcome, TrialEntry

METRIC = "test/top1_error"


def results(
    settings: Sequence[tuple[str, dict[str, Any]]],
    *,
    rows: tuple[str, ...] = ("norm",),
    columns: str | None = "batch",
    axes: tuple[str, ...] = ("norm", "groups", "batch"),
    column_values: Sequence[object] = (1, 2),
    seeds: int = 3,
    status: str = "finished",
    statistic: str = "median",
) -> Results:
    """Settings with seeds that measure 10, 11, 12, ..."""
    header = Header(
        name="s", question="q", rows=rows, columns=columns, metric=METRIC, statistic=statistic, axes=axes, seeds=3,
        column_values=tuple(map(axis_text, column_values)),
    )  # fmt: skip
    entries = [entry(setting, seed, values) for setting, values in settings for seed in range(seeds)]
    return Results.of(header, entries, {trial.trial_id: outcome(trial.seed, status) for trial in entries})


def entry(setting: str, seed: int, *places: dict[str, Any]) -> TrialEntry:
    axes, *also = places
    return TrialEntry(trial_id=f"{setting}-{seed}", setting_id=setting, seed=seed, name="", axes=axes, also=also)


def outcome(seed: int, status: str) -> Outcome:
    return Outcome(status=status, record={"epoch": 9, METRIC: 10.0 + seed, "validation/top1_error": 20.0 + seed})


def texts(of: Results) -> list[list[str]]:
    """The cells as text."""
    cells: Pivot = pivot(of)
    return [[cell_text(cells.cells.get((row, column)), of.header) for column in cells.columns] for row in cells.rows]


@pytest.mark.parametrize(
    ("compiled", "shown"),
    [
        ((0, 1, 2), "11.00 [10.00, 12.00]"),
        ((), "11.00 [10.00, 12.00]"),
        ((1,), "11.00 [10.00, 12.00] (1 of 3 compiled)"),
    ],
)
def test_a_cell_that_mixes_compiled_and_eager_trials_says_so(compiled: tuple[int, ...], shown: str) -> None:
    of = results([("a", {"norm": "batch"})], axes=("norm",), rows=("norm",), columns=None)
    trials = tuple(replace(trial, is_compiled=trial.seed in compiled) for trial in of.trials)
    mixed = replace(of, trials=trials)
    assert texts(mixed) == [[shown]]
    assert any("rounding differs" in line for line in caption(mixed.header, pivot(mixed))) == (len(compiled) == 1)


def test_trials_that_do_not_count_mix_nothing() -> None:
    of = results([("a", {"norm": "batch"})], axes=("norm",), rows=("norm",), columns=None)
    first, *others = of.trials
    failed = replace(first, is_compiled=True, status="failed", metrics={})
    assert "compiled" not in texts(replace(of, trials=(failed, *others)))[0][0]


def test_words_stand_in_the_order_of_the_sweep_file_and_numbers_ascend() -> None:
    given = [
        ("z", {"norm": "group", "batch": 2}),
        ("a", {"norm": "batch", "batch": 16}),
        ("b", {"norm": "batch", "batch": 2}),
    ]
    cells = pivot(results(given, axes=("norm", "batch"), column_values=(16, 4, 2)))
    assert cells.rows == (('"group"',), ('"batch"',))
    assert cells.columns == ("2", "16")


def test_rows_of_one_norm_stand_together_in_the_order_of_their_groups() -> None:
    norms = [("group", 16), ("layer", None), ("group", 8), ("group", 4), ("layer", None)]
    given = [
        (f"{index}", {"norm": norm, **({} if groups is None else {"groups": groups}), "batch": index // 4 + 1})
        for index, (norm, groups) in enumerate(norms)
    ]
    found = pivot(results(given, rows=("norm", "groups")))
    assert found.rows == (('"group"', "4"), ('"group"', "8"), ('"group"', "16"), ('"layer"', None))


def test_an_option_that_is_the_same_in_all_rows_is_no_column() -> None:
    given = [(f"{batch}", {"norm": "batch", "groups": 4, "batch": batch}) for batch in (1, 2)]
    assert pivot(results(given, rows=("norm", "groups"), columns=None)).row_keys == ("batch",)
    assert pivot(results(given, rows=("norm", "groups"))).row_keys == ("norm", "groups")  # Something has to be there.


def test_an_axis_that_a_case_leaves_at_its_default_shows_the_default() -> None:
    place = {"norm": "batch", "batch": 1}
    one = TrialEntry(trial_id="a", setting_id="a", seed=0, name="", axes=place, defaults={"groups": 32})
    other = TrialEntry(trial_id="b", setting_id="b", seed=0, name="", axes={**place, "groups": 4})
    header = results([]).header
    found = Results.of(header, [one, other], {"a": outcome(0, "finished"), "b": outcome(0, "finished")})
    assert pivot(found).rows == (("4",), ("32",))
    assert "batch,32,1," in table_csv(found, pivot(found))


def test_a_random_search_is_a_ranking_by_validation_instead_of_a_table_of_dashes() -> None:
    given = [(f"s{index}", {"norm": index, "batch": 7 - index}) for index in range(5)]
    found = results(given, axes=("norm", "batch"), column_values=())
    assert len(pivot(found).columns) == 1 and pivot(found).ranked_by == "validation/top1_error"
    better = [
        replace(t, metrics={METRIC: 0.0, "validation/top1_error": -float(t.setting_id[1:])}) for t in found.trials
    ]
    ranked = pivot(replace(found, trials=tuple(better)))
    assert [label[0] for label in ranked.rows] == ["4", "3", "2", "1", "0"]
    assert pivot(results(given[:2], axes=("norm", "batch"))).ranked_by is None


def test_a_cell_without_a_trial_is_a_dash() -> None:
    given = [("a", {"norm": "batch", "batch": 1}), ("b", {"norm": "group", "batch": 2})]
    assert texts(results(given, axes=("norm", "batch"))) == [
        ["11.00 [10.00, 12.00]", MISSING],
        [MISSING, "11.00 [10.00, 12.00]"],
    ]


def test_n_stands_only_where_it_is_not_the_sweeps_number_of_seeds() -> None:
    assert texts(results([("a", {"norm": "batch", "batch": 1})], seeds=2)) == [["10.50 [10.00, 11.00] n=2"]]
    assert texts(results([("a", {"norm": "batch", "batch": 1})], seeds=1)) == [["10.00 n=1"]]


def test_a_trial_of_several_places_stands_at_each_and_counts_once() -> None:
    place = {"norm": "group", "batch": 1}
    given = results([("a", place)], axes=("norm", "batch"))
    entries = [entry("a", seed, place, {**place, "batch": 2}) for seed in range(3)]
    statuses = ("finished", "finished", "running")
    both = Results.of(
        given.header, entries, {f"a-{seed}": outcome(seed, status) for seed, status in enumerate(statuses)}
    )
    assert texts(both) == [["10.50 [10.00, 11.00] n=2 of 3"] * 2]
    assert pivot(both).missing == {"running": 1}


def test_a_cell_that_would_mix_settings_is_split_by_what_tells_them_apart() -> None:
    given = [
        ("a", {"norm": "group", "groups": 8, "batch": 1}),
        ("b", {"norm": "group", "groups": 16, "batch": 1}),
        ("c", {"norm": "batch", "batch": 1}),
    ]
    cells = pivot(results(given))
    assert cells.row_keys == ("norm", "groups")
    assert cells.rows == (('"group"', "8"), ('"group"', "16"), ('"batch"', None))
    assert any("groups" in line and "split" in line for line in caption(results(given).header, cells))


def test_settings_that_differ_in_no_axis_are_still_never_mixed() -> None:
    cells = pivot(results([("a", {"norm": "batch", "batch": 1}), ("b", {"norm": "batch", "batch": 1})]))
    assert cells.row_keys == ("norm", "setting_id")
    assert cells.rows == (('"batch"', "a"), ('"batch"', "b"))


def test_without_a_column_axis_there_is_one_column() -> None:
    given = [("a", {"norm": "batch"}), ("b", {"norm": "group"})]
    assert texts(results(given, columns=None, column_values=())) == [["11.00 [10.00, 12.00]"]] * 2


def test_none_and_absent_are_different_values() -> None:
    given = [("a", {"norm": None, "batch": 1}), ("b", {"batch": 1})]
    assert pivot(results(given)).rows == (("null",), (None,))


def test_a_stopped_setting_shows_its_rungs_validation_value_only() -> None:
    stopped = results([("a", {"norm": "batch", "batch": 1})], status="stopped")
    assert texts(stopped) == [["stopped at 9 (validation 21.00 [20.00, 22.00])"]]
    assert texts(stopped.with_metric("validation/top1_error")) == [["21.00 [20.00, 22.00] (stopped at 9)"]]
    assert pivot(stopped).missing == {"stopped": 3}


@pytest.mark.parametrize(
    ("seeds", "pairs", "paired", "rank_sum"),
    [
        (1, "1 pair,", "two-sided 2/2^1 = 1, one-sided 1/2^1 = 0.5;", "1 against 1, two-sided 2/C(2, 1) = 1."),
        (
            5,
            "5 pairs,",
            "two-sided 2/2^5 = 0.0625, one-sided 1/2^5 = 0.03125;",
            "5 against 5, two-sided 2/C(10, 5) = 0.0079365.",
        ),
        (
            6,
            "6 pairs,",
            "two-sided 2/2^6 = 0.03125, one-sided 1/2^6 = 0.015625;",
            "6 against 6, two-sided 2/C(12, 6) = 0.0021645.",
        ),
    ],
)
def test_the_footnote_claims_no_significance_and_says_what_so_many_seeds_could_show(
    seeds: int, pairs: str, paired: str, rank_sum: str
) -> None:
    note = footnote(pivot(results([("a", {"norm": "batch", "batch": 1})], seeds=seeds)))
    assert note is not None
    assert note.startswith("Differences were not tested, and no significance is claimed.")
    assert pairs in note and paired in note and note.endswith(rank_sum)


def test_without_seeds_there_is_no_footnote() -> None:
    assert footnote(pivot(results([]))) is None


def test_a_metric_that_nobody_measured_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ReportError, match=r"did you mean 'test/top1_error'\? there are: test/top1_error, validation/top1_err"
    ):
        results([("a", {"norm": "batch", "batch": 1})]).with_metric("test/top1_eror")


def test_the_mean_comes_with_its_standard_deviation() -> None:
    given = [("a", {"norm": "batch", "batch": 1})]
    assert texts(results(given, statistic="mean")) == [["11.00 ± 1.00"]]
    found = results(given, statistic="mean")
    assert "mean ± standard deviation over 3 seeds" in caption(found.header, pivot(found))[0]
    with pytest.raises(ReportError, match="must be 'median' or 'mean', but got 'best'"):
        pivot(results([], statistic="best"))
