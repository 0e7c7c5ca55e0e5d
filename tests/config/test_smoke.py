"""Any sweep made small."""

import pytest

from tests.config.files import sweep
from wsnet.config.reading.only_and_smoke import smoke

CIFAR = {"name: digits, validation: 200": "name: cifar10, validation: 5000"}


def test_every_case_is_kept_with_both_ends_of_its_axes() -> None:
    small = smoke(
        sweep({"[8, 32]": "[4, 8, 16, 32]", "model.norm.groups: 4": "grid: {model.norm.groups: [1, 2, 4]}"}), images=512
    )
    kept = [
        (s.axes["model.norm.name"], s.axes["train.batch_size"], s.axes.get("model.norm.groups")) for s in small.settings
    ]
    assert kept == [
        ("batch", 4, None),
        ("batch", 32, None),
        ("group", 4, 1),
        ("group", 4, 4),
        ("group", 32, 1),
        ("group", 32, 4),
    ]
    assert small.axes == ["model.norm.name", "train.batch_size", "model.norm.groups"]


def test_it_is_one_epoch_of_few_images_with_two_seeds() -> None:
    small = smoke(sweep({**CIFAR, "seeds: 2": "seeds: [4, 7, 9]"}), images=100, steps=3)
    assert small.config.name == "small-smoke"
    assert small.config.seed_list == (4, 7)
    for setting in small.settings:
        assert setting.config.train.epochs == 1
        assert setting.config.data.limit == setting.config.data.train_size == 100
        assert setting.config.data.validation == 11  # 5000 x 100 / 45000
        assert setting.config.steps_per_epoch == 3


def test_no_validation_split_stays_none_and_a_lower_limit_stays() -> None:
    small = smoke(sweep({", validation: 200": ", limit: 64"}), images=512)
    assert {(s.config.data.validation, s.config.data.limit) for s in small.settings} == {(0, 64)}


def test_batches_fit_into_what_is_left_and_equal_settings_run_once() -> None:
    small = smoke(sweep({"[8, 32]": "[256, 512, 1024]"}), images=128)
    assert [s.config.train.batch_size for s in small.settings] == [128, 128]
    assert [s.axes["train.batch_size"] for s in small.settings] == [128, 128]
    shared = smoke(sweep({"[8, 32]": "[256]", "seeds: 2": "resources: {workers: 3}"}), images=128)
    assert {s.config.train.batch_size for s in shared.settings} == {126}  # the workers share a batch evenly


def test_an_axis_that_vanishes_is_no_axis() -> None:
    small = smoke(sweep({"train.batch_size: [8, 32]": "train.epochs: [3, 6]"}))
    assert small.axes == ["model.norm.name", "model.norm.groups"]
    assert [s.axes["train.epochs"] for s in small.settings] == [1, 1]


def test_schedules_are_scaled_along() -> None:
    steps = {
        "lr: 0.1": "lr: 0.1, schedule: {name: multistep, milestones: [30, 60], warmup_epochs: 9}",
        "epochs: 3": "epochs: 90",
    }
    (schedule, *_) = [s.config.optim.schedule for s in smoke(sweep(steps)).settings]
    assert schedule.name == "constant"
    assert schedule.warmup_epochs == 0.1
    (schedule, *_) = [
        s.config.optim.schedule for s in smoke(sweep({**steps, "seeds: 2": "scheduler: {name: asha}"})).settings
    ]
    assert schedule.name == "multistep"
    assert schedule.milestones == (1,)
    cosine = {"lr: 0.1": "lr: 0.1, schedule: {name: cosine, final_lr: 0.01}"}
    (schedule, *_) = [s.config.optim.schedule for s in smoke(sweep(cosine)).settings]
    assert schedule.name == "cosine"
    assert schedule.final_lr == 0.01


def test_what_a_smoke_run_can_not_reach_does_not_end_it() -> None:
    small = smoke(sweep({"epochs: 3": "epochs: 9, stop_above: {loss: 1, after: 5}, ema: {decay: 0.9}",
                         "lr: 0.1": "lr: 0.1, schedule: {name: one_cycle}"}))  # fmt: skip
    (config, *_) = [setting.config for setting in small.settings]
    assert config.train.stop_above is None and config.train.ema is not None
    assert config.optim.schedule.name == "one_cycle"


def test_halving_keeps_a_rung_and_one_seed() -> None:
    small = smoke(sweep({"seeds: 2": "scheduler: {name: asha, grace: 3, eta: 4}"}))
    assert small.config.scheduler.name == "asha"
    assert (small.config.scheduler.grace, small.config.scheduler.eta) == (1, 2)
    assert small.config.seed_list == (0,)
    assert {s.config.train.epochs for s in small.settings} == {2}


@pytest.mark.parametrize(
    "scheduler", ["{name: hyperband, grace: 3}", "{name: median, grace: 3, interval: 3}", "{name: asha, grace: 2}"]
)
def test_a_scheduler_of_settings_keeps_a_rung_and_two_seeds(scheduler: str) -> None:
    small = smoke(sweep({"seeds: 2": f"seeds: 3\nscheduler: {scheduler}"}))
    assert small.config.scheduler.name != "fifo" and small.config.compares_settings
    assert small.config.scheduler.rungs(2)[0] == (1,)
    assert small.config.seed_list == (0, 1)


def test_a_random_search_keeps_its_first_draws() -> None:
    ranges = {"train.batch_size: [8, 32]": "optim.lr: {log_uniform: [1e-4, 1]}"}
    whole = sweep({**ranges, "seeds: 2": "search: {name: random, samples: 9}"})
    small = smoke(whole)
    assert small.config.search.name == "random"
    assert small.config.search.samples == 4
    assert [s.axes for s in small.settings] == [s.axes for s in whole.settings[:4] + whole.settings[9:13]]


def test_an_axis_in_a_section_that_goes_is_no_axis() -> None:
    small = smoke(sweep({"train.batch_size: [8, 32]": "train.stop_above.loss: [2.0, 3.0]"}))
    assert "train.stop_above.loss" not in small.axes and len(small.settings) == 2


def test_micro_batches_stay_where_a_batch_of_them_is_left() -> None:
    def sizes(images: int) -> set[tuple[int, int | None]]:
        changes = {"batch_size: 16": "batch_size: 500", "train.batch_size: [8, 32]": "train.micro_batch_size: [100]"}
        small = smoke(sweep(changes), images=images)
        return {(s.config.train.batch_size, s.config.train.micro_batch_size) for s in small.settings}

    assert sizes(299) == {(200, 100)}
    assert sizes(90) == {(90, 10)}


def test_of_many_settings_each_has_one_seed() -> None:
    many = sweep(
        {"[8, 32]": "[1, 8]", "model.norm.groups: 4": "grid: {model.norm.groups: [1, 4], optim.lr: [0.1, 0.2]}"}
    )
    assert smoke(many).config.seeds == 1 and len(smoke(many).settings) >= 8
    assert smoke(sweep({})).config.seeds == 2


def test_a_deep_network_for_small_images_has_one_block_in_each_stage_unless_it_has_weights_or_groups() -> None:
    def depth(model: str) -> int:
        changes = {"name: cifar_resnet, depth: 8": model, "model.norm.groups: 4": "model.norm.groups: 2"}
        return max(setting.config.model.depth for setting in smoke(sweep(changes)).settings)

    assert depth("name: preact_resnet, depth: 1001, block: bottleneck") == 11
    assert depth("name: wrn, depth: 28") == 10
    assert depth("name: resnet, depth: 50, stem: cifar") == 50
    assert depth("name: cifar_resnet, depth: 110, pretrained: weights.pth") == 110
    assert depth("name: cifar_densenet, depth: 100") == 100  # With group norm; with batch norm, 10.
