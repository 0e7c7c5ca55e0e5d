"""Labels of cases, and published numbers in a sweep file."""

import csv

import pytest

from tests.config.files import mistakes_of, sweep
from tests.shared import SHARED
from wsnet.config.identity import canonical_text
from wsnet.config.published import PublishedConfig, published_rows, rows_of
from wsnet.config.reading.axes import CASE
from wsnet.config.reading.checked_sweep import Sweep
from wsnet.config.reading.only_and_smoke import only, smoke
from wsnet.config.scaling import learning_rate_rule

BATCH, GROUP = "{model.norm.name: batch}", "{model.norm.name: group, model.norm.groups: 4}"
LABELS = {BATCH: "{case: batch, model.norm.name: batch}", GROUP: f"{{case: group, {GROUP[1:]}"}
REPORT = (
    "seeds: 2\nreport: {published: {where: {system: online_normalization, dataset: CIFAR-10}, match: {norm: case}}}"
)


def linked(report: str = REPORT) -> Sweep:
    return sweep({**LABELS, "train.batch_size: [8, 32]": "train.batch_size: [8]", "seeds: 2": report})


def published(found: Sweep) -> list[list[str]]:
    link = found.config.report.published
    assert link is not None
    return [[row.fields["value"] for row in rows_of(link, setting.axes)] for setting in found.settings]


def test_the_facts_are_those_that_were_collected() -> None:
    if SHARED is None:
        pytest.skip("the collected numbers are not here")
    with (SHARED / "published" / "results.csv").open(newline="") as file:
        collected = list(csv.DictReader(file))
    assert len(published_rows()) == len(collected) == 272
    same = [name for name in collected[0] if name not in ("seed", "extra", "note")]
    for row, other in zip(published_rows(), collected, strict=True):
        assert row.fields["system"] == other["seed"]
        assert [row.fields[name] for name in same] == [other[name] for name in same]
        settings = {f"extra.{part}" for part in other["extra"].split(";") if part and not part.startswith("source=")}
        found = {f"{key}={value}" for key, value in row.fields.items() if key.startswith("extra.")}
        assert found - settings == {f"extra.source={row.fields['extra.source']}"}
        assert row.fields["extra.source"] in (
            ("paper",) if "source=paper" in other["extra"] else ("readme", "repository")
        )
    assert len({row.id for row in published_rows()}) == 272


def test_a_label_is_an_axis_and_no_part_of_the_identity() -> None:
    plain, labelled = sweep(), sweep(LABELS)
    assert [setting.axes[CASE] for setting in labelled.settings] == ["batch", "batch", "group", "group"]
    assert labelled.axes[0] == CASE
    assert [canonical_text(s.config) for s in labelled.settings] == [canonical_text(s.config) for s in plain.settings]


def test_a_label_may_make_the_rows_of_a_table() -> None:
    assert sweep({**LABELS, "seeds: 2": "report: {rows: [case]}"}).config.report.rows == ("case",)
    assert mistakes_of({"seeds: 2": "report: {rows: [case]}"})[0].startswith(
        "s.yaml:12: report.rows[0]: unknown key 'case'"
    )


def test_a_label_is_a_text() -> None:
    assert mistakes_of({BATCH: "{case: 3, model.norm.name: batch}"}) == [
        "s.yaml:8: cases[0].case: a case's label must be a string, but got 3"
    ]


def test_each_published_number_stands_beside_the_cell_that_it_is_of() -> None:
    assert published(linked()) == [["92.2"], ["90.3"]]


def test_an_axis_that_a_cell_does_not_have_matches_an_empty_column() -> None:
    link = PublishedConfig(
        where={
            "system": "image_classification",
            "dataset": "CIFAR-10",
            "model": "WRN-28-10",
            "extra.augmentation": None,
        },
        match={"extra.dropout": "model.dropout"},
    )
    assert [row.fields["value"] for row in rows_of(link, {})] == ["4.03", "4.00"]
    assert [row.fields["value"] for row in rows_of(link, {"model.dropout": 0.3})] == ["3.89"]


def test_a_section_matches_by_the_name_of_what_is_set_in_it() -> None:
    link = PublishedConfig(
        where={"dataset": "fashion_mnist", "model": "PreAct-ResNet-20", "extra.widening_factor": None, "epochs": 160},
        match={"extra.augmentation": "data.augment", "extra.cutout_size": "data.augment.cutout.size"},
    )
    assert [row.fields["value"] for row in rows_of(link, {"data.augment.mixup.alpha": 1.0})] == ["4.86"]
    assert [row.fields["value"] for row in rows_of(link, {"data.augment.cutout.size": 6})] == ["4.82"]
    assert [row.fields["value"] for row in rows_of(link, {})] == ["5.14"]


def test_an_accuracy_is_an_error_too_with_the_digits_published() -> None:
    (row,) = (row for row in published_rows() if row.id == "on-cifar10-001")
    assert str(row.error("test/top1_error")) == "7.7"
    assert row.error("test/top5_error") is row.error("validation/top1_error") is None


def test_mistakes_in_published_numbers_are_told() -> None:
    link = "{where: {sytem: x, dataset: CIFAR-11}, match: {norm: model.norm.nam, dataset: case, model: case}}"
    said = mistakes_of({"seeds: 2": f"report: {{published: {link}}}"})
    assert said == [
        "s.yaml:12: report.published.match.dataset: no case has a label; give one to each, such as "
        "{case: ResNet-110, model.depth: 110}",
        "s.yaml:12: report.published.match.model: no case has a label; give one to each, such as "
        "{case: ResNet-110, model.depth: 110}",
        "s.yaml:12: report.published.match.norm: unknown key 'model.norm.nam'; did you mean 'model.norm.name'?",
        "s.yaml:12: report.published.where.dataset: is in both where and match; keep one of them",
        "s.yaml:12: report.published.where.sytem: unknown column; did you mean 'system'?",
    ]
    (said_of_value,) = mistakes_of({"seeds: 2": "report: {published: {where: {dataset: CIFAR-11}}}"})
    assert said_of_value.endswith("no published number has 'CIFAR-11' there; did you mean 'CIFAR-10'?")


def test_a_published_number_beside_several_cells_is_a_mistake() -> None:
    (said,) = mistakes_of({**LABELS, "seeds: 2": REPORT})
    assert said == (
        "s.yaml:13: report.published.match: the published number 'on-cifar10-002' would stand beside several cells, "
        "which differ in train.batch_size; tell them apart in match"
    )


def test_published_numbers_are_left_out_where_set_fixes_what_tells_them_apart() -> None:
    report = REPORT.replace("norm: case", "norm: model.norm.name")
    fixed = sweep({"[8, 32]": "[8]", "seeds: 2": report}, overrides=["model.norm={name: layer}"])
    assert fixed.config.report.published is None
    assert "--set fixes model.norm" in fixed.warnings[0]


@pytest.mark.parametrize(
    ("override", "departure"),
    [
        ("train.epochs=1", "train.epochs is 1, not 3"),
        ("train.batch_size=4", "train.batch_size is 4 throughout"),
        ("data.limit=256", "data.limit is 256 (not set in the file)"),
        ("train.epochs=3", None),
        ("seeds=5", None),
    ],
)
def test_a_table_knows_where_set_departs_from_the_published_recipe(override: str, departure: str | None) -> None:
    changes = {**LABELS, "train.batch_size: [8, 32]": "train.batch_size: [8]", "seeds: 2": REPORT}
    found = sweep(changes, overrides=[override])
    assert found.departures == (() if departure is None else (departure,))
    assert [departure in warning for warning in found.warnings if "recipe" in warning] == [True] * bool(departure)
    assert only(found, ["case=group"]).departures == found.departures


def test_a_smoke_run_is_not_compared() -> None:
    assert smoke(linked()).config.report.published is None


def test_only_some_settings_are_chosen_and_stay_as_they_are() -> None:
    whole = sweep(LABELS)
    assert only(whole, ["case=group", "train.batch_size=8"]).settings == [whole.settings[2]]
    assert len(only(whole, ["case=group", "case=batch"]).settings) == 4
    assert only(whole, ["case=group"]).axes == whole.axes
    for pair, text in {
        "cas=group": "no axis of this sweep; did you mean 'case'?",
        "case=grup": "no setting has 'grup' there; did you mean 'group'?",
        "case": "must be axis=value, such as train.batch_size=32",
    }.items():
        with pytest.raises(ValueError, match="--only: ") as caught:
            only(whole, [pair])
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("grid", "rule"),
    [
        ("train.batch_size: [8, 32]", "fixed"),
        ("train.batch_size: [8]", None),
        ("train.batch_size: [8, 32]\n  optim.lr: [0.1, 0.2]", "tuned"),
        ("train.batch_size: [8, 32]\n  optim.scale_with_batch: [{rule: linear, base: 32}]", "linear"),
        (
            "train.batch_size: [8, 32]\n  optim.scale_with_batch: [{rule: momentum, base: 32}]",
            "scale_with_batch, rule momentum from batch 32",
        ),
    ],
)
def test_the_learning_rate_rule_of_a_batch_size_sweep_is_derived(grid: str, rule: str | None) -> None:
    assert learning_rate_rule(sweep({"train.batch_size: [8, 32]": grid}).settings) == rule


def test_rates_written_down_for_each_batch_size_may_be_linear() -> None:
    case = "{model.norm.name: batch, grid: {optim.lr: [0.1], train.batch_size: [8]}}"
    assert learning_rate_rule(sweep({BATCH: case}).settings) == "fixed"  # The other case still has both sizes.
