"""From a sweep file to its settings."""

import math
import time

from tests.config.files import SWEEP, mistakes_of, sweep
from wsnet.config import Sweep
from wsnet.config.reading.axes import hashable
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile

RANDOM = "seeds: 2\nsearch: {name: random, samples: 5, seed: 3}"


def axes(found: Sweep) -> list[dict[str, object]]:
    return [setting.axes for setting in found.settings]


def test_settings_are_cases_times_grid() -> None:
    found = sweep()
    assert [(s.config.model.norm.name, s.config.train.batch_size) for s in found.settings] == [
        ("batch", 8),
        ("batch", 32),
        ("group", 8),
        ("group", 32),
    ]
    assert found.axes == ["model.norm.name", "train.batch_size", "model.norm.groups"]
    assert [setting.case for setting in found.settings] == [0, 0, 1, 1]
    assert found.config.seed_list == (0, 1)


def test_a_file_without_cases_or_grid_is_one_setting() -> None:
    text = SWEEP[: SWEEP.index("cases")]
    found = sweep_of(YamlFile.parse(text, "s.yaml"))
    assert len(found.settings) == 1
    assert found.axes == []


def test_a_case_has_a_grid_of_its_own() -> None:
    found = sweep({"model.norm.groups: 4": "grid: {model.norm.groups: [2, 4]}"})
    assert [a.get("model.norm.groups") for a in axes(found)] == [None, None, 2, 4, 2, 4]


def test_a_case_with_its_own_values_of_an_axis_has_only_those() -> None:
    found = sweep({"model.norm.groups: 4": "model.norm.groups: 4, grid: {train.batch_size: [4]}"})
    assert [a["train.batch_size"] for a in axes(found)] == [8, 32, 4]


def test_a_section_may_be_an_axis() -> None:
    found = sweep(
        {"train.batch_size: [8, 32]": "model.norm: [{name: layer}, {name: none}]", "{model.norm.name: batch}": "{}"}
        | {"\n  - {model.norm.name: group, model.norm.groups: 4}": ""}
    )
    assert [s.config.model.norm.name for s in found.settings] == ["layer", "none"]


def test_an_override_makes_a_section_that_base_leaves_out() -> None:
    found = sweep(
        {
            "  model: {name: cifar_resnet, depth: 8}\n": "  model:\n",
            "[8, 32]": "[8]\n  model.name: [cifar_resnet]\n  model.depth: [8, 14]",
        }
    )
    assert [s.config.model.depth for s in found.settings] == [8, 14, 8, 14]


def test_a_random_search_draws_the_same_from_the_same_seed() -> None:
    wide = {"[8, 32]": "[1, 2, 3, 4, 5, 6, 7, 8]\n  optim.lr: [1, 2, 3, 4]"}
    first, again = sweep({**wide, "seeds: 2": RANDOM}), sweep({**wide, "seeds: 2": RANDOM})
    other = sweep({**wide, "seeds: 2": RANDOM.replace("seed: 3", "seed: 4")})
    assert axes(first) == axes(again) != axes(other)


def test_a_random_search_draws_nothing_twice_and_no_more_than_there_is() -> None:
    few = sweep({"[8, 32]": "[1, 2, 3, 4, 5, 6]", "seeds: 2": RANDOM})
    assert len({s.config.model_dump_json() for s in few.settings}) == len(few.settings) == 2 * 5
    assert axes(sweep({"seeds: 2": RANDOM})) == axes(sweep())


def test_a_range_is_drawn_within_its_ends() -> None:
    ranges = "[8]\n  optim.lr: {log_uniform: [1e-4, 1]}\n  optim.weight_decay: {uniform: [0, 1]}"
    found = sweep({"[8, 32]": ranges, "seeds: 2": "search: {name: random, samples: 200}"})
    rates = [s.config.optim.lr for s in found.settings]
    assert len(rates) == 400
    assert all(1e-4 <= rate <= 1 for rate in rates)
    assert 0.4 < sum(rate < 1e-2 for rate in rates) / len(rates) < 0.6  # half of the decades
    assert all(0 <= s.config.optim.weight_decay <= 1 for s in found.settings)


def test_decay_factors_are_drawn_on_a_log_scale_of_one_minus_them() -> None:
    ranges = "[8]\n  optim.momentum: {one_minus_log_uniform: [0.9, 0.9999]}"
    found = sweep({"[8, 32]": ranges, "seeds: 2": "search: {name: random, samples: 200}"})
    values = [s.config.optim.momentum for s in found.settings]
    assert all(0.9 <= value <= 0.9999 for value in values)
    for below, share in ((0.99, 1 / 3), (0.999, 2 / 3)):  # Thirds: of the three decades of 1 - x.
        assert abs(sum(value < below for value in values) / len(values) - share) < 0.1
    assert all(math.isclose(float(f"{1 - value:.6g}"), 1 - value, rel_tol=1e-9) for value in values)  # Six digits.


def test_a_range_must_be_one() -> None:
    rule = (
        "must be {uniform: [low, high]}, {log_uniform: [low, high]} or {one_minus_log_uniform: [low, high]}, with "
        "low < high, low > 0 for a log scale, and high < 1 for one of 1 - x"
    )
    for bad in (
        "{uniform: [1, 1]}",
        "{uniform: 3}",
        "{log_uniform: [0, 1]}",
        "{uniform: [1, x]}",
        "{uniform: [.nan, 1]}",
        "{one_minus_log_uniform: [0.9, 1]}",
    ):
        (said,) = mistakes_of({"train.batch_size: [8, 32]": f"optim.lr: {bad}", "seeds: 2": RANDOM})
        assert said.startswith(f"s.yaml:11: grid.optim.lr: {rule}, but got {{")


def test_a_guess_at_a_range_is_told_how_one_is_written() -> None:
    for guess in ("{min: 0.01, max: 1}", "loguniform(0.01 to 1)"):
        (said,) = mistakes_of({"train.batch_size: [8, 32]": f"optim.lr: {guess}", "seeds: 2": RANDOM})
        assert "must be a list of at least one value, or a range such as {log_uniform: [0.01, 1]}, but got" in said


def test_set_fixes_a_key_of_a_trial_in_every_setting() -> None:
    found = sweep(overrides=["train.epochs=7"])
    assert {s.config.train.epochs for s in found.settings} == {7}
    assert "train.epochs" not in found.axes


def test_set_replaces_an_axis() -> None:
    found = sweep(overrides=["train.batch_size=64"])
    assert [s.config.train.batch_size for s in found.settings] == [64, 64]
    assert found.axes == ["model.norm.name", "model.norm.groups"]


def test_set_of_a_section_replaces_the_axes_below_it() -> None:
    changes = {"train.batch_size: [8, 32]": "model.norm.eps: [1e-3, 1e-4]"}
    found = sweep(changes, overrides=["model.norm={name: layer}"])
    assert [s.config.model.norm.name for s in found.settings] == ["layer"]  # equal settings are trained once


def test_set_changes_the_sweep_itself() -> None:
    overrides = [
        "seeds=[5, 7]",
        "name=other",
        "grid.train.batch_size=[4]",
        "base.train.epochs=9",
        "resources.workers=2",
    ]
    found = sweep(overrides=overrides)
    assert found.config.seed_list == (5, 7)
    assert found.config.name == "other"
    assert found.config.resources.workers == 2
    assert {(s.config.train.batch_size, s.config.train.epochs) for s in found.settings} == {(4, 9)}


def test_set_tells_its_mistakes() -> None:
    said = mistakes_of(
        {}, overrides=["seeds.count=2", "scheduler.ets=3", "train.epochs=[", "grid.train.batchsize=[1]", "train.epochs"]
    )
    assert said == [
        "--set: grid.train.batchsize: unknown key; did you mean 'train.batch_size'?",
        "--set: scheduler.ets: unknown key; did you mean 'scheduler.eta'?",
        "--set: seeds.count: unknown key; did you mean 'seeds'?",
        "--set: train.epochs: must be key=value, such as train.epochs=3",
        "--set: train.epochs: not valid YAML: expected the node content, but found '<stream end>'",
    ]
    assert mistakes_of({}, overrides=["train.epochs=0", "seeds=0"]) == [
        "--set: seeds: must be a count from 1 to 10000, or a list of distinct seeds >= 0, but got 0",
        "--set: train.epochs: must be greater than or equal to 1, but got 0",
    ]


def test_two_thousand_settings_are_checked_in_well_under_two_seconds() -> None:
    rates = ", ".join(str(i / 1000) for i in range(1, 501))
    source = YamlFile.parse(SWEEP.replace("grid:", f"grid:\n  optim.lr: [{rates}]"), "s.yaml")
    start = time.process_time()  # Of this process: whatever else the machine does meanwhile does not count.
    assert len(sweep_of(source).settings) == 2000
    assert time.process_time() - start < 2


def test_values_of_an_axis_are_the_same_if_yaml_says_so() -> None:
    for value, other, same in (
        (1, 1.0, True),
        (1, True, False),
        ("1", 1, False),
        ({"a": [1, None]}, {"a": [1.0, None]}, True),
        ([1, 2], [2, 1], False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, False),
    ):
        assert (hashable(value) == hashable(other)) is same
