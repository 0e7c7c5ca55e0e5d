"""What a person reads who made a mistake in a sweep file."""

from pathlib import Path

import pytest

from tests.config.files import SWEEP, mistakes_of
from wsnet.config import ConfigError, read_trial

LR = "lr: 0.1"
EPOCHS = "epochs: 3"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("depth: 8", "depht: 8, depth: 8", "s.yaml:4: base.model.depht: unknown key; did you mean 'depth'?"),
        ("depth: 8", "depht: 8", "s.yaml:4: base.model.depht: unknown key; did you mean 'depth'?"),
        ("name: small", "nmae: small", "s.yaml:1: nmae: unknown key; did you mean 'name'?"),
        ("depth: 8", "width: 8", "s.yaml:4: base.model.depth: missing, and it has no default"),
        (
            "depth: 8",
            "depth: 9",
            "s.yaml:4: base.model.depth: depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, ...), but got 9; near it: 8",
        ),
        (
            "name: digits",
            "name: digit",
            "s.yaml:3: base.data.name: must be one of 'digits', 'cifar10', 'cifar100', 'mnist', 'fashion_mnist', "
            "'imagenet', 'folder' or 'parquet', but got 'digit'; did you mean 'digits'?",
        ),
        (
            "name: cifar_resnet",
            "name: cifar_resnt",
            "s.yaml:4: base.model: unknown name 'cifar_resnt'; did you mean 'cifar_resnet'?",
        ),
        ("name: sgd, ", "", "s.yaml:5: base.optim: needs a 'name', one of sgd, adam, adamw, lars"),
        (
            LR,
            "lr: 0.1, betas: [0.9, 0.99]",
            "s.yaml:5: base.optim.betas: has no effect with 'sgd'; only 'adam' and 'adamw' take it",
        ),
        (LR, "lr: '1e-3'", "s.yaml:5: base.optim.lr: must be a number, but got '1e-3'; write it without quotes"),
        (LR, "lr: .nan", "s.yaml:5: base.optim.lr: must be a finite number, but got nan"),
        (LR, "lr: .inf", "s.yaml:5: base.optim.lr: must be a finite number, but got inf"),
        (LR, "lr: 0", "s.yaml:5: base.optim.lr: must be greater than 0, but got 0"),
        (LR, "lr: 0.1, momentum: .nan", "s.yaml:5: base.optim.momentum: must be a finite number, but got nan"),
        (
            LR,
            "lr: 0.1, nesterov: true",
            "s.yaml:5: base.optim.nesterov: nesterov has no effect without momentum; give momentum, such as 0.9",
        ),
        (
            LR,
            "lr: 0.1, weight_decay_on: weights",
            "s.yaml:5: base.optim.weight_decay_on: weight_decay_on has no effect without weight_decay; "
            "give weight_decay, such as 1e-4",
        ),
        (
            LR,
            "lr: 0.1, clip_grad_norm: 1, clip_grad_value: 1",
            "s.yaml:5: base.optim.clip_grad_value: clip_grad_value and clip_grad_norm must not be given both; "
            "keep one of them",
        ),
        (LR, "lr: 0.1, clip_grad_norm: 0", "s.yaml:5: base.optim.clip_grad_norm: must be greater than 0, but got 0"),
        (
            "name: sgd, lr: 0.1",
            "name: lars, lr: 0.1, scale_with_batch: {rule: momentum, base: 128}",
            "s.yaml:5: base.optim.scale_with_batch.rule: rule 'momentum' is derived for 'sgd' alone; "
            "use rule 'linear' or 'sqrt'",
        ),
        (
            LR,
            "lr: 0.1, scale_with_batch: {rule: linar, base: 128}",
            "s.yaml:5: base.optim.scale_with_batch.rule: must be one of 'linear', 'sqrt' or 'momentum', "
            "but got 'linar'; did you mean 'linear'?",
        ),
        (
            LR,
            "lr: 0.1, scale_with_batch: {rule: linear}",
            "s.yaml:5: base.optim.scale_with_batch.base: missing, and it has no default",
        ),
        (
            LR,
            "lr: 0.1, trust_coefficient: 0.01",
            "s.yaml:5: base.optim.trust_coefficient: has no effect with 'sgd'; only 'lars' takes it",
        ),
        (
            LR,
            "lr: 0.1, schedule: {name: one_cycle, warmup_epochs: 1}",
            "s.yaml:5: base.optim.schedule.warmup_epochs: has no effect with 'one_cycle'; "
            "only 'constant', 'multistep', 'cosine' and 'polynomial' take it",
        ),
        (
            EPOCHS,
            "epochs: 3, stop_above: {loss: 2, after: 4}",
            "s.yaml:6: base.train.stop_above.after: train.stop_above.after=4 is never reached with train.epochs=3",
        ),
        (EPOCHS, "epochs: 3, ema: {decay: 1}", "s.yaml:6: base.train.ema.decay: must be less than 1, but got 1"),
        (
            "seeds: 2",
            "report: {metric: test_ema/top1_error}",
            "s.yaml:12: report.metric: 'test_ema/top1_error' needs averaged weights in every setting; "
            "set base.train.ema.decay, such as 0.999",
        ),
        (
            LR,
            "lr: 0.1, schedule: {name: multistep, milestones: [2, 1]}",
            "s.yaml:5: base.optim.schedule.milestones: milestones must be given and rise strictly, but got [2, 1]",
        ),
        (
            "name: sgd, lr: 0.1",
            "name: adam, lr: 0.1, betas: [0.9]",
            "s.yaml:5: base.optim.betas: must have more items, but has only 1",
        ),
        (EPOCHS, "epochs: 3.0", "s.yaml:6: base.train.epochs: must be a whole number, but got 3.0"),
        (EPOCHS, "epochs: true", "s.yaml:6: base.train.epochs: must be a whole number, but got true"),
        (EPOCHS, "epochs: 3, drop_last: 1", "s.yaml:6: base.train.drop_last: must be true or false, but got 1"),
        ("data: {name: digits, validation: 200}", "data:", "s.yaml:3: base.data: must be a mapping, but got nothing"),
        (
            "{name: cifar_resnet, depth: 8}",
            "{name: resnet, depth: 20}",
            "s.yaml:4: base.model.depth: must be one of 18, 34, 50, 101 or 152, but got 20; 'cifar_resnet' and "
            "'preact_resnet' have it",
        ),
        (
            "grid:\n  train.batch_size",
            "grid:\n  batch_size",
            "s.yaml:11: grid.batch_size: unknown key; did you mean 'train.batch_size'?",
        ),
        ("grid:\n", "grid:\n  lr: [1]\n", "s.yaml:11: grid.lr: unknown key; did you mean 'optim.lr'?"),
        (
            "optim: {name: sgd, lr: 0.1}",
            "optim: sgd",
            "s.yaml:5: base.optim: must be a mapping, but got 'sgd'; write {name: sgd}",
        ),
        ("data: {name: digits, validation: 200}", "data: [1]", "s.yaml:3: base.data: must be a mapping, but got [1]"),
        (
            "{epochs: 3, batch_size: 16}",
            "{epochs: 3}\n  execution: {threads: aut}",
            "s.yaml:7: base.execution.threads: must be a whole number or 'auto', but got 'aut'; did you mean 'auto'?",
        ),
        (
            "{epochs: 3, batch_size: 16}",
            "{epochs: 3}\n  execution: {deterministic: on}",
            "s.yaml:7: base.execution.deterministic: must be true or false or 'auto', but got 'on'",
        ),
        (
            "seeds: 2",
            "seeds: 0",
            "s.yaml:12: seeds: must be a count from 1 to 10000, or a list of distinct seeds >= 0, but got 0",
        ),
        ("seeds: 2", "seds: 2", "s.yaml:12: seds: unknown key; did you mean 'seeds'?"),
        ("seeds: 2", "scheduler: {name: asha, etta: 3}", "s.yaml:12: scheduler.etta: unknown key; did you mean 'eta'?"),
        ("seeds: 2", "3: 2", "s.yaml:12: 3: a key must be a text"),
        (
            "seeds: 2",
            "report: {rows: [model.nrm.name]}",
            "s.yaml:12: report.rows[0]: unknown key 'model.nrm.name'; did you mean 'model.norm.name'?",
        ),
        ("base:\n", "base:\n  seed: 1\n", "s.yaml:3: base.seed: seeds are counted by the sweep's own 'seeds'"),
        (
            "train.batch_size: [",
            "train.batchsize: [",
            "s.yaml:11: grid.train.batchsize: unknown key; did you mean 'train.batch_size'?",
        ),
        ("[8, 32]", "[]", "s.yaml:11: grid.train.batch_size: an axis must be a list of at least one value, but got []"),
        ("[8, 32]", "8", "s.yaml:11: grid.train.batch_size: an axis must be a list of at least one value, but got 8"),
        ("[8, 32]", "[8, 8]", "s.yaml:11: grid.train.batch_size: an axis must not hold a value twice, but got [8, 8]"),
        ("[8, 32]", "[8, x]", "s.yaml:11: grid.train.batch_size: must be a whole number, but got 'x'"),
        (
            "train.batch_size: [8, 32]",
            "optim.lr: {uniform: [0.1, 1]}",
            "s.yaml:11: grid.optim.lr: a range needs search: {name: random, samples: N}, or tpe or "
            "gaussian_process (docs/search.md)",
        ),
        (
            "[8, 32]",
            "{uniform: [8, 32]}",
            "s.yaml:11: grid.train.batch_size: takes whole numbers, but a range has fractions; list its values "
            "instead, such as [8, 14, 20, 26, 32]",
        ),
        (
            "train.batch_size: [8, 32]",
            "data.workers: [0, 1]",
            "s.yaml:11: grid.data.workers: does not change a trial's numbers, so it can not be an axis; set it in base",
        ),
        (
            "train.batch_size: [8, 32]",
            "model: {norm: {eps: [1e-5]}}",
            "s.yaml:11: grid.model: an axis is a single key with dots; write model.norm.eps: [...]",
        ),
        (
            "model.norm.groups: 4",
            "model.norm.groups: 3",
            "s.yaml:9: cases[1].model.norm.groups: groups must divide the channels, but got groups=3 with layers of "
            "16, 32 and 64 channels; possible: 16, 8, 4, 2, 1",
        ),
        (
            ", model.norm.groups: 4",
            "",
            "s.yaml:9: cases[1].model.norm.name: groups must divide the channels, but got groups=32 with layers of "
            "16, 32 and 64 channels; possible: 16, 8, 4, 2, 1",
        ),
        (
            "seeds: 2",
            "stages: {}\nreport: {select: {over: optim.lr}}",
            "s.yaml:13: report.select.over: must be a list, but got 'optim.lr'; write [optim.lr]",
        ),
        (
            "[8, 32]",
            "[8, 2000]",
            "s.yaml:11: grid.train.batch_size: train.batch_size must not exceed the training set, "
            "but got train.batch_size=2000 with 1297 training images",
        ),
        (
            "train.batch_size: [8, 32]",
            "data.limit: [8, 32]",
            "s.yaml:11: grid.data.limit: train.batch_size must not exceed the training set, "
            "but got train.batch_size=16 with 8 training images",
        ),
        (
            "train.batch_size: [8, 32]",
            "data.validation: [200, 1497]",
            "s.yaml:11: grid.data.validation: validation must leave images to train on, "
            "but got validation=1497 of the 1497 training images of 'digits'",
        ),
        (
            "model.norm.groups: 4",
            "model.norm.groups: 4, model.norm.momentum: 0.1",
            "s.yaml:9: cases[1].model.norm.momentum: has no effect with 'group'; "
            "only 'batch', 'sync_batch', 'ghost_batch' and 'batch_renorm' take it",
        ),
        (
            "{model.norm.name: batch}",
            "{model.norm: {name: group, grops: 3}}",
            "s.yaml:8: cases[0].model.norm.grops: unknown key; did you mean 'groups'?",
        ),
        (
            "{model.norm.name: batch}",
            "{train.batch_size: 4}",
            "s.yaml:8: cases[0].train.batch_size: is set by the case and varied by a grid; keep one of them",
        ),
        (
            "{model.norm.name: batch}",
            "{model.norm.eps: 1e-3, model.norm: {name: batch}}",
            "s.yaml:8: cases[0].model.norm.eps: has no effect: 'model.norm' replaces the whole section after it",
        ),
        (
            "seeds: 2",
            "seeds: 2\nscheduler: {name: asha, compare: trials, mode: sync}",
            "s.yaml:13: scheduler.mode: mode 'sync' needs a comparison of settings, but single trials are compared as "
            "they arrive; set compare: settings",
        ),
        (
            "seeds: 2",
            "seeds: 2\nresources: {stack: 2, workers: 2}",
            "s.yaml:13: resources.stack: stacked seeds need one worker, but got stack=2 with workers=2; leave out "
            "one of the two",
        ),
        (
            "seeds: 2",
            "seeds: 2\nscheduler: {name: asha}\nresources: {stack: 2}",
            "s.yaml:14: resources.stack: stacked seeds are trained to their ends, but scheduler 'asha' stops some "
            "trials; leave out one of the two",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(old: str, new: str, said: str) -> None:
    assert mistakes_of({old: new}) == [said]


def test_all_mistakes_come_at_once_and_by_line() -> None:
    said = mistakes_of(
        {
            "depth: 8": "depht: 8, depth: eight",
            LR: "lr: -1",
            "model.norm.groups: 4": "model.norm.groups: 0",
            "[8, 32]": "[8, 8]",
            "seeds: 2": "seeds: 0\nscheduler: {name: ashaa}\nbogus: 1\nreport: {columns: nothing.here}",
        },
        overrides=["train.epoch=3", "no", "seed=3"],
    )
    assert [" ".join(line.split(": ")[:2]) for line in said] == [
        "--set no",
        "--set seed",
        "--set train.epoch",
        "s.yaml:4 base.model.depht",
        "s.yaml:4 base.model.depth",
        "s.yaml:5 base.optim.lr",
        "s.yaml:9 cases[1].model.norm.groups",
        "s.yaml:11 grid.train.batch_size",
        "s.yaml:12 seeds",
        "s.yaml:13 scheduler",
        "s.yaml:14 bogus",
        "s.yaml:15 report.columns",
    ]


def test_two_conflicts_of_one_trial_come_at_once() -> None:
    said = mistakes_of({", validation: 200": "", "epochs: 3": "keep: best, epochs: 3", "[8, 32]": "[2000]"})
    assert len(said) == 2
    assert said[0].startswith("s.yaml:6: base.train.keep: train.keep 'best' needs a validation split")
    assert said[1].startswith("s.yaml:11: grid.train.batch_size: train.batch_size must not exceed")


def test_a_key_is_not_called_missing_where_its_axis_has_the_mistake() -> None:
    assert len(mistakes_of({", batch_size: 16": "", "[8, 32]": "[]"})) == 1
    assert len(mistakes_of({", batch_size: 16": "", "train.batch_size: [": "train.batch_sise: ["})) == 1
    assert len(mistakes_of({", batch_size: 16": "", "\n  train.batch_size: [8, 32]": " 3"})) == 1


def test_a_scheduler_and_a_validation_metric_need_a_validation_split() -> None:
    needs = "needs a validation split in every setting; set base.data.validation, such as 5000"
    said = mistakes_of(
        {", validation: 200": "", "seeds: 2": "scheduler: {name: asha}\nreport: {metric: validation/loss}"}
    )
    assert said == [
        f"s.yaml:12: scheduler: 'asha' {needs}",
        f"s.yaml:13: report.metric: 'validation/loss' {needs}",
    ]


def test_a_trial_file_tells_its_mistakes_too(tmp_path: Path) -> None:
    file = tmp_path / "trial.yaml"
    file.write_text(
        "data: {name: digits}\nmodel: {name: cifar_resnet, depth: 8}\noptim: {name: sgd, lr: 1}\ntrain: {epoch: 3}\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_trial(str(file), ["train.batch_size=0", "seed=x", "optim.mom=1"])
    assert [str(mistake).removeprefix(str(tmp_path)) for mistake in caught.value.mistakes] == [
        "--set: optim.mom: unknown key; did you mean 'optim.momentum'?",
        "--set: seed: must be a whole number, but got 'x'",
        "--set: train.batch_size: must be greater than or equal to 1, but got 0",
        "/trial.yaml:4: train.epoch: unknown key; did you mean 'epochs'?",
    ]


def test_a_base_whose_sections_are_not_indented_is_one_mistake() -> None:
    lines = SWEEP.split("\n")
    indented = "\n".join(lines[2:6])
    assert mistakes_of({indented: indented.replace("  data", "data").replace("\n  ", "\n")}) == [
        "s.yaml:3: data: must be indented under 'base', and so must model, optim and train"
    ]


GRID = "grid:\n  train.batch_size: [8, 32]\nseeds: 2\n"
AXES = "optim.lr: [0.1, -1]\nmodel.norm.momentum: {uniform: [0, 1]}"
"""One of the values is wrong, and so is the range in a grid: both are told as well, wherever the axes stand."""
IN_THE_AXES = [
    "grid.model.norm.momentum: a range needs search: {name: random, samples: N}, or tpe or gaussian_process "
    "(docs/search.md)",
    "grid.optim.lr: must be greater than 0, but got -1",
]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {GRID: f"grid:\n{AXES}"},
            ["s.yaml:11: optim.lr: must be indented under 'grid', and so must model.norm.momentum"],
        ),
        (
            {GRID: f"grid:\n{AXES}".replace("optim.", "") + "\nmomentum: [0.9]\nnorm: {name: layer}"},
            [
                "s.yaml:11: lr: must be indented under 'grid' as optim.lr, and so must model.norm.momentum",
                "s.yaml:13: momentum: unknown key; known: name, question, base, cases, grid, seeds, search, scheduler, "
                "stages, resources, report",
                "s.yaml:14: norm: must be indented under 'base' as model: {norm: ...}",
            ],
        ),
        (
            {GRID: f"{AXES}\ntrain.batch_size: 8"},
            [
                "s.yaml:10: optim.lr: must be indented under 'grid', and so must model.norm.momentum",
                "s.yaml:12: train.batch_size: must be indented under 'base' as train: {batch_size: ...}",
            ],
        ),
        (
            {GRID: "", "16}\n": f"16}}\n  grid: {{{AXES.replace(chr(10), ', ')}}}\n  seeds: 3\n"},
            [
                "s.yaml:7: base.grid: belongs to the whole file: write 'grid' at the beginning of a line, not indented "
                "under 'base'",
                "s.yaml:8: base.seeds: belongs to the whole file: write 'seeds' at the beginning of a line, not "
                "indented under 'base'",
            ],
        ),
        (
            {GRID: "", "16}\n": f"16, grid: {{{AXES.replace(chr(10), ', ')}}}}}\n"},
            [
                "s.yaml:6: base.train.grid: belongs to the whole file: write 'grid' at the beginning of a line, not "
                "indented under 'base'",
            ],
        ),
        (
            {GRID: f"grid:\n  grid: {{{AXES.replace(chr(10), ', ')}}}"},
            ["s.yaml:11: grid.grid: is a grid in a grid: indent its keys under the outer one alone"],
        ),
    ],
)
def test_keys_at_a_wrong_depth_are_told_once_and_read_as_if_they_were_right(
    changes: dict[str, str], said: list[str]
) -> None:
    found = mistakes_of(
        {"{model.norm.name: batch}": "{}", "{model.norm.name: group, model.norm.groups: 4}": "{}"} | changes
    )
    assert sorted(line for line in found if ": grid." not in line or "grid.grid" in line) == said
    assert sorted(line.partition(": ")[2] for line in found if "grid.o" in line or "grid.m" in line) == IN_THE_AXES
    assert len(found) == len(said) + len(IN_THE_AXES)


ONLY_A_GRID = {"cases:\n  - {model.norm.name: batch}\n  - {model.norm.name: group, model.norm.groups: 4}\n": ""}


def test_a_range_of_groups_leads_to_a_list_of_powers_of_two() -> None:
    assert mistakes_of({**ONLY_A_GRID, "train.batch_size: [8, 32]": "model.norm.groups: {uniform: [2, 16]}"}) == [
        "s.yaml:8: grid.model.norm.groups: takes whole numbers, but a range has fractions; list its values instead, "
        "such as [2, 4, 8, 16]"
    ]


@pytest.mark.parametrize("word", ["on", "off", "yes", "No", "true"])
def test_a_word_for_yes_or_no_resembles_no_other_word(word: str) -> None:
    said = mistakes_of({"train.batch_size: [8, 32]": f"model.weight: ['{word}']"})
    assert said == [
        f"s.yaml:11: grid.model.weight: must be one of 'none', 'standardized' or 'normalized', but got '{word}'"
    ]


@pytest.mark.parametrize("key", ["model.norm.name", "optim.lr", "train.epochs"])
def test_several_values_in_a_case_lead_to_its_grid(key: str) -> None:
    (said,) = mistakes_of({"{model.norm.name: batch}": f"{{{key}: [batch, layer]}}"})
    assert said.startswith(f"s.yaml:8: cases[0].{key}: ")
    assert said.endswith(f"; several values belong under this case's grid: {{grid: {{{key}: [...]}}}}")


def test_a_list_that_a_key_takes_is_not_sent_to_the_grid() -> None:
    (said,) = mistakes_of({"{model.norm.name: batch}": "{optim.name: adam, optim.betas: [0.9]}"})
    assert said == "s.yaml:8: cases[0].optim.betas: must have more items, but has only 1"


def test_an_unknown_name_in_a_case_is_told_at_the_case() -> None:
    assert mistakes_of({"{model.norm.name: batch}": "{model.norm.name: bacth}"}) == [
        "s.yaml:8: cases[0].model.norm.name: unknown name 'bacth'; did you mean 'batch'?"
    ]


def test_an_axis_that_only_some_cases_take_is_sent_to_their_grid() -> None:
    moved = {"model.norm.groups: 4": "optim.lr: 2", "train.batch_size: [8, 32]": "model.norm.groups: [4, 8]"}
    (said,) = mistakes_of(moved)
    assert said == (
        "s.yaml:11: grid.model.norm.groups: has no effect with 'batch'; only 'group' and 'evonorm_s0' take it; put it "
        "into the grid of a case that does: {model.norm.name: group, grid: {model.norm.groups: [...]}}"
    )


def test_an_axis_that_no_case_takes_is_not_sent_to_a_grid() -> None:
    (said,) = mistakes_of({"train.batch_size: [8, 32]": "optim.betas: [[0.9, 0.99]]"})
    assert said.endswith("has no effect with 'sgd'; only 'adam' and 'adamw' take it")


def test_a_key_beside_its_section_is_told_the_section() -> None:
    against = "s.yaml:13: report.against: unknown key; it belongs under report.compare"
    assert mistakes_of({"seeds: 2": "report:\n  against: {model.norm.name: batch}"}) == [against]
    assert mistakes_of({LR: "lr: 0.1, milestones: [1]"}) == [
        "s.yaml:5: base.optim.milestones: unknown key; it belongs under optim.schedule"
    ]


def test_a_value_that_comes_twice_does_not_hide_a_wrong_one() -> None:
    assert mistakes_of({"[8, 32]": "[8, 8, -1]"}) == [
        "s.yaml:11: grid.train.batch_size: an axis must not hold a value twice, but got [8, 8, -1]",
        "s.yaml:11: grid.train.batch_size: must be greater than or equal to 1, but got -1",
    ]
