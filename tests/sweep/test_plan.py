import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import write
from wsnet.config import ConfigError, read_sweep
from wsnet.config.reading.only_and_smoke import only
from wsnet.report import Header
from wsnet.storage import Folder, Manifest
from wsnet.sweep.planning.plan import Plan, make_plan
from wsnet.sweep.planning.setting_names import setting_names


def plan(tmp_path: Path, **changes: Any) -> Plan:
    path = write(tmp_path, **changes)
    return make_plan(read_sweep(str(path), []), path.name, root=tmp_path)


CASES = [
    {"model.norm.name": "batch"},
    {"model.norm.name": "group", "model.norm.groups": 2},
    {"model.norm.name": "layer"},
]


def test_norms_times_batch_sizes_times_decays_from_one_file_are_exactly_the_product(tmp_path: Path) -> None:
    decays = {"optim.momentum": [0.0, 0.9], "optim.weight_decay": [0.0, 1e-4]}
    cases = [{"model.norm.name": "batch", "grid": {"model.norm.momentum": [0.1, 0.01, 0.001]}}, *CASES[1:]]
    made = plan(tmp_path, cases=cases, grid={"train.batch_size": [2, 8], **decays}, seeds=2)
    assert len(made.trials) == (3 + 2) * 2 * 2 * 2 * 2
    seen = {
        (
            t.config.model.norm.name,
            getattr(t.config.model.norm, "momentum", None),
            t.config.train.batch_size,
            getattr(t.config.optim, "momentum", None),
            t.config.optim.weight_decay,
            t.config.seed,
        )
        for t in made.trials
    }
    norms = [("batch", 0.1), ("batch", 0.01), ("batch", 0.001), ("group", None), ("layer", None)]
    wanted = itertools.product(norms, [2, 8], [0.0, 0.9], [0.0, 1e-4], [0, 1])
    assert seen == {(*norm, *rest) for norm, *rest in wanted}


def test_every_trial_has_an_id_and_a_short_name_of_its_own(tmp_path: Path) -> None:
    made = plan(tmp_path, cases=CASES, grid={"train.batch_size": [2, 8]}, seeds=3)
    entries = [trial.entry for trial in made.trials]
    assert len({entry.trial_id for entry in entries}) == len({entry.name for entry in entries}) == 18
    assert len({entry.setting_id for entry in entries}) == 6
    assert max(len(entry.name) for entry in entries) <= 20
    assert entries[0].name == "bn-b2-s0"


def test_the_manifest_says_what_statistics_norms_are_evaluated_with(tmp_path: Path) -> None:
    both = [*CASES, {"model.norm.name": "batch", "train.evaluation_statistics.name": "recomputed"}]
    said = "statistics recomputed over up to 10,000 training images in micro-batches of 128"
    assert plan(tmp_path, cases=both).manifest.report["evaluation_statistics"] == f"running statistics or {said}"
    alone = plan(tmp_path, cases=[{"model.norm.name": "layer"}]).manifest
    assert "evaluation_statistics" not in alone.report


def test_the_manifest_has_the_comparisons_and_the_number_of_test_images(tmp_path: Path) -> None:
    compare = {
        "against": {"model.norm.name": "batch"},
        "settings": [{"model.norm.groups": 2}],
        "at": {"train.batch_size": [2]},
    }
    made = plan(tmp_path, cases=CASES, grid={"train.batch_size": [8, 2]}, report={"compare": compare})
    made.manifest.write(Folder(tmp_path))
    header = Header.of(Manifest.read(Folder(tmp_path)))
    assert header.compare is not None and header.compare == made.sweep.comparisons
    assert header.compare.settings == (('"group"', "2"),) and header.compare.at == ("2",)
    assert (header.compare.count, header.compare.written, header.test_images) == (1, compare, 100)
    plain = plan(tmp_path, cases=CASES, grid={"train.batch_size": [8, 2]})
    assert [trial.entry for trial in plain.trials] == [trial.entry for trial in made.trials]
    assert "compare" not in plain.manifest.report


def test_the_manifest_has_the_order_of_the_file(tmp_path: Path) -> None:
    manifest = plan(tmp_path, cases=CASES, grid={"train.batch_size": [8, 2]}, seeds=[7, 3]).manifest
    assert sorted(manifest.axes) == ["model.norm.groups", "model.norm.name", "train.batch_size"]
    assert [entry.seed for entry in manifest.trials[:4]] == [7, 3, 7, 3]
    assert [entry.axes["train.batch_size"] for entry in manifest.trials[:4]] == [8, 8, 2, 2]
    assert manifest.report["columns"] == "train.batch_size"
    assert manifest.report["rows"] == ["model.norm.name", "model.norm.groups"]


@pytest.mark.slow
def test_the_axis_to_choose_over_makes_neither_rows_nor_columns(tmp_path: Path) -> None:
    grid = {"train.batch_size": [8, 2], "optim.lr": [0.1, 0.2]}
    report = {"select": {"over": ["optim.lr"], "by": "validation/loss"}}
    manifest = plan(tmp_path, cases=CASES, grid=grid, report=report).manifest
    assert manifest.report["rows"] == ["model.norm.name", "model.norm.groups"]
    assert manifest.report["columns"] == "train.batch_size"
    assert manifest.report["select"] == {"over": ["optim.lr"], "by": "validation/loss", "settings": 12}
    assert "optim.lr" in manifest.axes
    path = write(tmp_path, cases=CASES, grid=grid, report=report)
    fixed = make_plan(read_sweep(str(path), ["optim.lr=0.3"]), path.name, root=tmp_path).manifest
    assert "select" not in fixed.report and len(fixed.trials) == 6


def test_groups_that_no_model_can_have_are_named_with_their_case(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, cases=[{"model.norm.name": "group", "model.norm.groups": groups} for groups in (2, 3, 5)])
    three, five = str(error.value).splitlines()
    assert "cases[1].model.norm.groups: groups must divide the channels, but got groups=3 " in three
    assert "cases[2].model.norm.groups: groups must divide the channels, but got groups=5 " in five


def test_a_batch_that_workers_can_not_share_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"multiple of resources\.workers, but got 3 and 2"):
        plan(tmp_path, train={"batch_size": 3}, resources={"workers": 2})


def test_a_micro_batch_that_does_not_divide_a_workers_share_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    def mistake(norm: str, size: int) -> str:
        train = {"batch_size": 8, "micro_batch_size": size}
        with pytest.raises(ConfigError) as error:
            plan(tmp_path, train=train, cases=[{"model.norm.name": norm}], resources={"workers": 2})
        return str(error.value)

    assert "divide train.batch_size, but got train.micro_batch_size=3" in mistake("batch", 3)
    assert "'sync_batch' takes no train.micro_batch_size with several workers" in mistake("sync_batch", 2)
    train = {"batch_size": 12, "micro_batch_size": 4}
    with pytest.raises(ConfigError, match=r"train\.micro_batch_size=4 with 12 / 2 images"):
        plan(tmp_path, train=train, cases=[{"model.norm.name": "batch"}], resources={"workers": 2})


def test_micro_batches_that_change_nothing_are_one_setting_at_several_places(tmp_path: Path) -> None:
    sizes = {"train.micro_batch_size": [1, 2, 8]}
    made = plan(tmp_path, train={"batch_size": 8}, cases=CASES, grid=sizes, seeds=2)
    entries = [trial.entry for trial in made.trials if trial.entry.seed == 0]
    assert [entry.name for entry in entries] == ["bn-m1-s0", "bn-m2-s0", "bn-m8-s0", "gn-g2-s0", "ln-s0"]
    assert [[place["train.micro_batch_size"] for place in entry.places] for entry in entries[2:]] == [
        [8], [1, 2, 8], [1, 2, 8],
    ]  # fmt: skip
    assert all(place["model.norm.name"] == "layer" for place in entries[-1].places)
    assert set(made.manifest.axes) == {"model.norm.name", "model.norm.groups", "train.micro_batch_size"}


@pytest.mark.slow
def test_every_worker_has_a_stream_of_online_norm_of_its_own_and_that_counts(tmp_path: Path) -> None:
    cases = [{"model.norm.name": "online"}]
    one, two = (plan(tmp_path, cases=cases, resources={"workers": workers}) for workers in (1, 2))
    assert one.trials[0].entry.trial_id != two.trials[0].entry.trial_id


def test_a_first_rung_beyond_the_last_epoch_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="grace=3 and epochs=2"):
        plan(tmp_path, scheduler={"name": "asha", "grace": 3})
    with pytest.raises(
        ConfigError, match=r"only the last bracket may be without a rung .* but got brackets=3, grace=1"
    ):
        plan(tmp_path, scheduler={"name": "hyperband"})


@pytest.mark.slow
def test_the_number_of_workers_is_part_of_identity_only_with_batch_statistics(tmp_path: Path) -> None:
    one, two = (plan(tmp_path, cases=CASES, resources={"workers": workers}) for workers in (1, 2))
    same = [a.entry.trial_id == b.entry.trial_id for a, b in zip(one.trials, two.trials, strict=True)]
    assert same == [False, True, True]


def test_long_decays_stay_out_of_names_that_are_clear_without_them() -> None:
    online = {"model.norm.name": "online", "model.norm.forward_decay": 0.9990234375}
    assert setting_names([{"model.norm.name": "batch"}, online]) == ["bn", "on"]
    other = {**online, "model.norm.forward_decay": 0.998046875}
    assert setting_names([online, other]) == ["on-af0.999023", "on-af0.998047"]


def test_settings_that_would_have_one_name_are_numbered() -> None:
    assert setting_names([{"model.norm.name": "batch"}] * 2) == ["bn.1", "bn.2"]
    assert setting_names([{}]) == ["base"]


def test_axes_whose_keys_end_in_the_same_word_are_told_apart() -> None:
    lower = {"optim.lr": 0.1, "train.ema.decay": 0.9, "optim.ema.start": 2, "model.norm.decay": 0.99}
    assert setting_names([lower, {**lower, "optim.ema.start": 3}]) == [
        "lr0.1-ema.decay0.9-start2-norm.decay0.99",
        "lr0.1-ema.decay0.9-start3-norm.decay0.99",
    ]


def test_a_value_that_is_null_is_named_after_its_axis() -> None:
    axes = [{"data.limit": limit, "optim.clip_grad_norm": norm} for limit, norm in ((None, None), (256, 1.0))]
    assert setting_names(axes) == ["no_limit-no_clip_grad_norm", "limit256-clip_grad_norm1"]


def test_the_name_of_a_random_searchs_setting_has_every_axis() -> None:
    drawn = [{"optim.lr": 0.04884771, "optim.weight_decay": 3.2803e-4, "optim.schedule.name": "cosine"}]
    drawn.append({**drawn[0], "optim.lr": 0.0852962})
    assert setting_names(drawn) == ["lr0.0488477-wd0.00032803-cosine", "lr0.0852962-wd0.00032803-cosine"]


def test_a_label_stands_in_a_name_for_what_its_case_sets() -> None:
    wide = {"case": "WRN 28 (10)", "model.depth": 28}
    assert setting_names([{"case": "ResNet-110", "model.depth": 110}, wide]) == ["ResNet-110", "WRN-28-10"]
    dropped = {**wide, "model.dropout": 0.3, "train.batch_size": 64}
    assert setting_names([wide, dropped, {**dropped, "train.batch_size": 32}]) == [
        "WRN-28-10",
        "WRN-28-10-b64",
        "WRN-28-10-b32",
    ]


def test_a_section_as_a_value_is_named_by_what_is_in_it() -> None:
    sections = [{}, {"crop_padding": 4, "flip": True, "cutout": {"size": 16}}, {"flip": False, "mixup": {}}]
    assert setting_names([{"data.augment": section} for section in sections]) == ["off", "4-flip-cutout-16", "mixup"]


def test_some_settings_of_a_plan_keep_their_names_and_the_manifest_is_the_whole_one(tmp_path: Path) -> None:
    whole = plan(tmp_path, cases=CASES, grid={"train.batch_size": [2, 8]}, seeds=2)
    part = whole.of(only(whole.sweep, ["model.norm.name=layer", "train.batch_size=8"]))
    assert [trial.entry for trial in part.trials] == [t.entry for t in whole.trials if t.entry.name.startswith("ln-b8")]
    assert len(part.trials) == 2 and len(whole.manifest.trials) == 12


def test_a_label_that_looks_like_a_number_can_be_chosen(tmp_path: Path) -> None:
    cases = [{"case": "110", "model.norm.name": "layer"}, {"case": "20", "model.norm.name": "none"}]
    whole = plan(tmp_path, cases=cases)
    assert [s.axes["case"] for s in only(whole.sweep, ["case=110"]).settings] == ["110"]


def test_the_manifest_says_what_no_axis_varies_and_what_a_silent_case_has(tmp_path: Path) -> None:
    cases = [{"model.norm.name": "batch"}, {"model.norm.name": "layer", "model.weight": "standardized"}]
    manifest = plan(tmp_path, cases=cases, grid={"train.batch_size": [8, 16]}).manifest
    assert "train.batch_size" not in manifest.report["fixed"]
    assert manifest.report["fixed"]["optim.name"] == "sgd"
    defaults = {entry.axes["model.norm.name"]: entry.defaults for entry in manifest.trials}
    assert defaults == {"batch": {"model.weight": "none"}, "layer": {}}
    assert all(entry.parameters and entry.multiply_accumulates for entry in manifest.trials)
