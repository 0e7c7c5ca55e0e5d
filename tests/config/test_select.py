"""`report.select` in a sweep file."""

import pytest

from tests.config.files import mistakes_of, sweep
from wsnet.config import Sweep
from wsnet.config.reading.only_and_smoke import smoke
from wsnet.config.scaling import learning_rate_rule

GRID = "train.batch_size: [8, 32]"
RATES = f"{GRID}\n  optim.lr: [0.1, 0.2, 0.4]"
SELECT = {GRID: RATES, "seeds: 2": "seeds: 2\nreport: {select: {over: [optim.lr]}}"}


def selected(report: str, *more: str) -> dict[str, str]:
    return {GRID: RATES, "seeds: 2": "\n".join([f"report: {report}", *more])}


def test_the_top_1_error_on_validation_decides_unless_another_metric_is_named() -> None:
    select = sweep(SELECT).config.report.select
    assert select is not None and (select.over, select.by) == (("optim.lr",), "validation/top1_error")


def test_a_test_metric_can_not_decide() -> None:
    (said,) = mistakes_of(selected("{select: {over: [optim.lr], by: test/top1_error}}"))
    assert said.startswith("s.yaml:13: report.select.by: must be one of 'validation/top1_error', ")


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("[optim.rl]", "over[0]: unknown key 'optim.rl'; did you mean 'optim.lr'?"),
        (
            "[optim.momentum]",
            "over[0]: no case and no grid sets 'optim.momentum', so there is nothing to choose from; "
            "known: train.batch_size, optim.lr, model.norm.name, model.norm.groups",
        ),
        ("[]", "over: over must name at least one axis, and none twice, but got []"),
        ("[optim.lr, optim.lr]", "over: over must name at least one axis, and none twice, but got ['optim.lr', 'opt"),
    ],
)  # fmt: skip
def test_what_is_chosen_over_must_be_an_axis(over: str, said: str) -> None:
    (found,) = mistakes_of(selected(f"{{select: {{over: {over}}}}}"))
    assert found.startswith(f"s.yaml:13: report.select.{said}")


def test_an_axis_that_only_a_case_sets_can_be_chosen_over() -> None:
    report = "seeds: 2\nreport: {select: {over: [model.norm.groups]}}"
    own = {"model.norm.groups: 4": "grid: {model.norm.groups: [2, 4]}", "seeds: 2": report}
    assert sweep(own).config.report.select is not None
    assert sweep({"seeds: 2": report}).config.report.select is not None


def test_an_axis_can_not_be_chosen_over_and_tell_cells_apart() -> None:
    report = (
        "{rows: [model.norm.name, optim.lr], columns: train.batch_size, select: {over: [train.batch_size, optim.lr]}}"
    )
    assert mistakes_of(selected(report)) == [
        "s.yaml:13: report.select.over[0]: 'train.batch_size' is in report.columns too, which tells the cells apart; "
        "keep one of them",
        "s.yaml:13: report.select.over[1]: 'optim.lr' is in report.rows[1] too, which tells the cells apart; "
        "keep one of them",
    ]


def test_choosing_needs_a_validation_split_and_averaged_weights_if_it_goes_by_those() -> None:
    report = selected("", "  metric: test_ema/loss", "  select:", "    over: [optim.rl]", "    by: validation_ema/loss")
    assert mistakes_of({**report, ", validation: 200": ""}) == [
        "s.yaml:14: report.metric: 'test_ema/loss' needs averaged weights in every setting; "
        "set base.train.ema.decay, such as 0.999",
        "s.yaml:16: report.select.over[0]: unknown key 'optim.rl'; did you mean 'optim.lr'?",
        "s.yaml:17: report.select.by: 'validation_ema/loss' needs a validation split in every setting; "
        "set base.data.validation, such as 5000",
        "s.yaml:17: report.select.by: 'validation_ema/loss' needs averaged weights in every setting; "
        "set base.train.ema.decay, such as 0.999",
    ]


def test_a_grid_that_can_not_be_read_is_the_only_mistake() -> None:
    (said,) = mistakes_of({GRID: "3", "grid:\n ": "grid:", "seeds: 2": SELECT["seeds: 2"]})
    assert "s.yaml:10: grid: " in said


def test_set_may_fix_what_is_chosen_over() -> None:
    found = sweep(SELECT, overrides=["optim.lr=0.3"])
    assert {setting.config.optim.lr for setting in found.settings} == {0.3}
    assert "optim.lr" not in found.axes


def test_published_numbers_stand_beside_the_cell_that_is_chosen_and_not_beside_each_candidate() -> None:
    link = "published: {where: {system: online_normalization, dataset: CIFAR-10}, match: {norm: model.norm.name}}"
    one_size = {GRID: "optim.lr: [0.1, 0.2, 0.4]"}
    assert sweep({**one_size, "seeds: 2": f"report: {{select: {{over: [optim.lr]}}, {link}}}"}).config.report.published
    (said,) = mistakes_of({**one_size, "seeds: 2": f"report: {{{link}}}"})
    assert "would stand beside several cells, which differ in optim.lr" in said


def test_a_smoke_run_chooses_between_the_ends() -> None:
    small = smoke(sweep(SELECT))
    assert small.config.report.select == sweep(SELECT).config.report.select
    assert {setting.config.optim.lr for setting in small.settings} == {0.1, 0.4}
    assert "optim.lr" in small.axes


def test_a_chosen_learning_rate_is_called_tuned_with_the_rule_of_its_candidates() -> None:
    def rule(optim: str) -> str | None:
        found: Sweep = sweep({**SELECT, "lr: 0.1}": f"lr: 0.1{optim}}}"})
        return learning_rate_rule(found.settings, found.config.report.select)

    assert rule("") == "tuned"
    assert rule(", scale_with_batch: {rule: linear, base: 16}") == ("tuned, among rates that follow the batch: linear")
    assert rule(", scale_with_batch: {rule: sqrt, base: 16}") == (
        "tuned, among rates that follow the batch: scale_with_batch, rule sqrt from batch 16"
    )
    fixed = sweep(SELECT, overrides=["optim.lr=0.3"])
    assert learning_rate_rule(fixed.settings, fixed.config.report.select) == "fixed"
