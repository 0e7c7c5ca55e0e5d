"""`report.compare` in a sweep file."""

import pytest

from tests.config.files import mistakes_of, sweep
from wsnet.config import Sweep
from wsnet.config.compare import Declared
from wsnet.config.identity import canonical_text
from wsnet.config.reading.only_and_smoke import only, smoke
from wsnet.config.reading.table_rows import columns_of

STANDARDIZED = "- {model.norm.name: group, model.norm.groups: 4, model.weight: standardized}"
RECOMPUTED = "- {model.norm.name: batch, train.evaluation_statistics.name: recomputed}"
CASES = {"- {model.norm.name: group, model.norm.groups: 4}": f"- {{model.norm.name: layer}}\n  {STANDARDIZED}"}
GROUP = "- {model.norm.name: group, model.norm.groups: 4}"
TWO_BATCH = {GROUP: f"{RECOMPUTED}\n  {GROUP}"}


def comparing(compare: str, **more: str) -> dict[str, str]:
    return {"seeds: 2": f"seeds: 2\nreport:\n  compare: {compare}", **more}


def declared(compare: str, changes: dict[str, str] | None = None) -> Declared:
    found = sweep({**comparing(compare), **(changes or {})}).comparisons
    assert found is not None
    return found


def test_by_default_every_other_row_is_compared_in_every_column() -> None:
    found = declared("{against: {model.norm.name: batch}}", CASES)
    assert found.keys == ("model.norm.name", "model.norm.groups", "model.weight")
    assert (found.against, found.settings, found.at, found.count) == (('"batch"', None, None), None, None, 4)


def test_rows_and_columns_may_be_named() -> None:
    found = declared(
        "{against: {model.norm.name: batch}, settings: [{model.weight: standardized}], at: {train.batch_size: [8]}}",
        CASES,
    )
    assert (found.settings, found.at, found.count) == ((('"group"', "4", '"standardized"'),), ("8",), 1)


def test_a_row_can_be_told_by_an_option_that_it_has_by_default() -> None:
    compare = "{against: {model.norm.name: batch, train.evaluation_statistics.name: running}}"
    found = declared(compare, TWO_BATCH)
    assert found.keys[:2] == ("model.norm.name", "train.evaluation_statistics.name")
    assert (found.against[:2], found.count) == (('"batch"', None), 4)


def test_a_baseline_that_means_several_rows_is_told_what_to_add() -> None:
    assert mistakes_of(comparing("{against: {model.norm.name: batch}}", **TWO_BATCH)) == [
        "s.yaml:15: report.compare.against: must mean one row, but 2 rows fit: "
        "train.evaluation_statistics.name=running; train.evaluation_statistics.name=recomputed; "
        "add train.evaluation_statistics.name: running to mean the first"
    ]


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ("{against: {model.norm.nam: batch}}", "against.model.norm.nam: unknown key; did you mean 'model.norm.name'?"),
        (
            "{against: {optim.momentum: 0.9}}",
            "against.optim.momentum: no case and no grid sets it, so rows do not differ in it; "
            "known: model.norm.name, model.norm.groups",
        ),
        ("{against: {model.norm.name: bacth}}", "against.model.norm.name: no row has bacth there; did you"),
        ("{against: {train.batch_size: 8}}", "against.train.batch_size: makes the columns, not the rows; choose"),
        ("{against: {}}", "against: needs the baseline's values, such as {model.norm.name: batch}"),
        ("{}", "against: missing, and it has no default"),
        ("{against: {model.norm.name: group, model.norm.groups: 8}}", "against.model.norm.groups: no row has 8 there"),
        (
            "{against: {model.norm.name: batch}, settings: [{model.norm.name: batch}]}",
            "settings[0]: is the baseline itself (report.compare.against); name the rows that are compared with it",
        ),
        ("{against: {model.norm.name: batch}, settings: []}", "settings: must list rows by their values, such as"),
        (
            "{against: {model.norm.name: batch}, settings: [{model.norm.name: layer}]}",
            "settings[0].model.norm.name: no row has layer there; known: batch, group",
        ),
        (
            "{against: {model.norm.name: batch}, at: {train.batch_size: [8, 16]}}",
            "at.train.batch_size[1]: no column is 16; there are: 8, 32",
        ),
        (
            "{against: {model.norm.name: batch}, at: {model.norm.groups: [4]}}",
            "at.model.norm.groups: must be the columns' key, 'train.batch_size'",
        ),
        ("{against: {model.norm.name: batch}, at: {train.batch_size: []}}", "at: must be the columns' key with a list"),
        ("{against: {model.norm.name: batch}, at: {train.batch_size: 8}}", "at.train.batch_size: must be a list"),
        ("{with: {model.norm.name: batch}, against: {model.norm.name: batch}}", "with: unknown key"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_before_anything_is_trained(compare: str, said: str) -> None:
    (found,) = mistakes_of(comparing(compare))
    assert found.startswith(f"s.yaml:14: report.compare.{said}"), found


def test_values_that_no_row_has_together_are_a_mistake() -> None:
    compare = "{against: {model.norm.name: layer, model.norm.groups: 4}}"
    assert mistakes_of(comparing(compare, **CASES)) == [
        "s.yaml:15: report.compare.against: no row has all of these values"
    ]


def test_what_is_chosen_over_tells_no_rows_apart() -> None:
    grid = {"train.batch_size: [8, 32]": "train.batch_size: [8, 32]\n  optim.lr: [0.1, 0.2]"}
    report = "{against: {optim.lr: 0.1}}\n  select: {over: [optim.lr]}"
    assert mistakes_of({**grid, **comparing(report)}) == [
        "s.yaml:15: report.compare.against.optim.lr: is chosen over (report.select.over), so it does not tell rows "
        "apart"
    ]
    chosen = "{against: {model.norm.name: batch}}\n  select: {over: [optim.lr]}"
    found = sweep({**grid, **comparing(chosen)}).comparisons
    assert found is not None and found.count == 2 and "optim.lr" not in found.keys


def test_a_case_can_be_the_baseline_by_its_label() -> None:
    labels = {"- {model.norm.name: batch}": "- {case: BN, model.norm.name: batch}"}
    assert declared("{against: {case: BN}}", labels).against[0] == '"BN"'


def test_a_setting_that_stands_in_several_rows_is_one() -> None:
    # The micro-batch size matters to batch norm alone: the two rows of layer norm are the same settings.
    micro = {"train.batch_size: [8, 32]": "train.micro_batch_size: [4, 8]\n  train.batch_size: [8, 32]"}
    layer = {**micro, "- {model.norm.name: batch}": "- {model.norm.name: layer}"}
    for named in ("", ", train.micro_batch_size: 4", ", train.micro_batch_size: 8"):
        assert declared(f"{{against: {{model.norm.name: layer{named}}}}}", layer).count == 2
    assert declared("{against: {model.norm.name: group}}", micro).count == 4
    (said,) = mistakes_of({**micro, **comparing("{against: {model.norm.name: batch}}")})
    assert said.endswith("add train.micro_batch_size: 4 to mean the first")


def test_a_baseline_without_a_column_in_common_with_another_row_is_a_mistake() -> None:
    own = {
        "- {model.norm.name: batch}": "- {model.norm.name: batch, grid: {train.batch_size: [8]}}",
        "model.norm.groups: 4}": "model.norm.groups: 4, grid: {train.batch_size: [32]}}",
        "grid:\n  train.batch_size: [8, 32]\n": "",
        "seeds: 2": "seeds: 2\nreport:\n  columns: train.batch_size\n  compare: {against: {model.norm.name: batch}}",
    }
    (said,) = mistakes_of(own)
    assert said.endswith("report.compare: the baseline has no column in common with a row to compare it with")


def test_comparisons_are_left_out_where_the_command_line_fixes_what_they_name() -> None:
    compare = comparing("{against: {model.norm.name: batch}, at: {train.batch_size: [8]}}")
    found = sweep(compare, overrides=["train.batch_size=32"])
    assert found.comparisons is None
    assert found.warnings == [
        "s.yaml:14: report.compare: the comparisons are left out, since --set fixes train.batch_size"
    ]
    assert sweep(compare, overrides=["train.epochs=1"]).comparisons is not None


@pytest.mark.parametrize(
    ("seeds", "compare", "said"),
    [
        (
            2,
            "{against: {model.norm.name: batch}}",
            "2 seeds cannot decide any of the 4 comparisons: the smallest p-value of so few against each other is "
            "0.33, 1 by Holm's correction; 0.05 takes at least 5 seeds, or fewer comparisons",
        ),
        (
            1,
            "{against: {model.norm.name: batch}, settings: [{model.weight: standardized}], "
            "at: {train.batch_size: [32]}}",
            "1 seed cannot decide the comparison: the smallest p-value of so few against each other is 1; "
            "0.05 takes at least 4 seeds, or fewer comparisons",
        ),
        (5, "{against: {model.norm.name: batch}}", None),
    ],
)
def test_too_few_seeds_for_the_comparisons_are_warned_of(seeds: int, compare: str, said: str | None) -> None:
    changes = {**comparing(compare, **CASES)}
    changes["seeds: 2"] = changes["seeds: 2"].replace("seeds: 2", f"seeds: {seeds}")
    found = [warning for warning in sweep(changes).warnings if "drop_last" not in warning]
    assert [warning.partition(": report.compare: ")[2] for warning in found] == [said] * (said is not None)


def test_a_part_of_a_sweep_keeps_its_comparisons_and_a_smoke_run_has_none() -> None:
    whole = sweep(comparing("{against: {model.norm.name: batch}}"))
    assert only(whole, ["train.batch_size=8"]).comparisons == whole.comparisons is not None
    assert smoke(whole).comparisons is None


def test_no_identity_depends_on_what_is_compared() -> None:
    def identities(found: Sweep) -> list[str]:
        return [canonical_text(setting.config) for setting in found.settings]

    assert identities(sweep(comparing("{against: {model.norm.name: batch}}"))) == identities(sweep())


def test_the_second_of_two_stages_has_the_comparisons_and_the_first_has_none() -> None:
    grid = {"train.batch_size: [8, 32]": "train.batch_size: [8, 32]\n  optim.lr: [0.1, 0.2]"}
    report = "{against: {model.norm.name: batch}}\n  select: {over: [optim.lr]}\nstages: {}"
    found = sweep({**grid, **comparing(report)})
    assert found.comparisons is not None and found.comparisons.count == 2
    assert found.tuning is not None and found.tuning.comparisons is None


WEIGHT_COLUMNS = {
    "- {model.norm.name: batch}": "- {model.norm.name: batch}\n  - {model.norm.name: layer}",
    "model.norm.groups: 4}": "grid: {model.norm.groups: [2, 4], model.weight: [none, standardized]}}",
    "grid:\n  train.batch_size: [8, 32]": "grid:\n  optim.lr: [0.1, 0.2]",
    "seeds: 2": "seeds: 4\nreport:\n  rows: [model.norm.name, model.norm.groups]\n  columns: model.weight\n"
    "  select: {over: [optim.lr]}\n  compare: {against: {model.norm.name: batch}}",
}


def test_a_case_that_does_not_set_the_columns_key_stands_in_the_column_of_its_default() -> None:
    found = sweep(WEIGHT_COLUMNS)
    assert found.comparisons is not None
    assert found.comparisons.count == 3  # Layer norm and both group numbers, each with plain weights.
    assert found.comparisons.without_baseline == ('"standardized"',)
    (missing, few) = [warning for warning in found.warnings if "report.compare" in warning]
    assert missing.endswith("nothing is compared at model.weight standardized, where the baseline has no setting")
    assert "4 seeds cannot decide any of the 3 comparisons" in few


def test_a_column_can_be_named_by_a_default() -> None:
    changed = {**WEIGHT_COLUMNS}
    changed["seeds: 2"] = changed["seeds: 2"].replace("batch}}", "batch}, at: {model.weight: [none]}}")
    found = sweep(changed).comparisons
    assert found is not None and (found.count, found.at, found.without_baseline) == (3, ('"none"',), ())


def test_a_table_without_columns_is_asked_for_by_none() -> None:
    changed = {"seeds: 2": "seeds: 2\nreport:\n  columns: none\n  compare: {against: {train.batch_size: 8}}"}
    group = {"- {model.norm.name: batch}\n": "", **changed}
    found = sweep(group)
    assert columns_of(found.config, found.axes) is None
    assert found.comparisons is not None and found.comparisons.count == 1
