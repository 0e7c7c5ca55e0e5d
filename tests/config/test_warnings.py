"""What is allowed and yet looks like an oversight."""

import pytest

from tests.config.files import sweep


def test_milestones_after_the_last_epoch_are_warned_of() -> None:
    found = sweep({"lr: 0.1": "lr: 0.1, schedule: {name: multistep, milestones: [1, 5]}", "[8, 32]": "[32]"})
    assert found.warnings == ["s.yaml:5: base.optim.schedule.milestones: milestones [5] are never reached in 3 epochs"]


def test_fewer_epochs_on_the_command_line_come_with_milestones_to_match() -> None:
    recipe = {
        "optim: {name: sgd, lr: 0.1}": "optim: {name: sgd, lr: 0.1, schedule: {name: multistep, milestones: [30, 60]}}"
    }
    found = sweep(recipe | {"epochs: 3": "epochs: 90"}, overrides=["train.epochs=30"])
    warning = found.warnings[0]  # The other one is of a small last batch.
    assert warning.endswith("in 30 epochs; to scale them from 90 epochs: --set 'optim.schedule.milestones=[10, 20]'")
    both = ["train.epochs=30", "optim.schedule.milestones=[10, 20]"]
    assert not any(
        "milestones" in text for text in sweep(recipe | {"epochs: 3": "epochs: 90"}, overrides=both).warnings
    )


def test_a_last_step_on_a_few_images_is_warned_of_once_for_each_batch_size() -> None:
    # 1,497 images less 200 for validation: 1,297 = 162 * 8 + 1 = 40 * 32 + 17.
    assert sweep().warnings == [
        "s.yaml:6: base.train.drop_last: with train.batch_size=8 the last step of an epoch is on 1 image (1,297 "
        "training images), at the full learning rate and just before an evaluation; set train.drop_last: true to leave "
        "it out"
    ]


@pytest.mark.parametrize("change", ["batch_size: 16, drop_last: true", "batch_size: 16, steps_per_epoch: 4"])
def test_a_last_step_that_is_not_made_is_not_warned_of(change: str) -> None:
    assert sweep({"batch_size: 16": change}).warnings == []


DROPS = "lr: 0.1, schedule: {name: multistep, milestones: [2]}"


@pytest.mark.parametrize(
    ("scheduler", "first"),
    [
        ("{name: asha}", 1),
        ("{name: asha, grace: 2, mode: sync}", 2),
        ("{name: hyperband, grace: 1, eta: 2, brackets: 2}", 1),
        ("{name: median, interval: 2}", 2),
    ],
)
def test_a_rung_before_the_first_drop_of_the_learning_rate_is_warned_of(scheduler: str, first: int) -> None:
    found = sweep(
        {"lr: 0.1": DROPS, "[8, 32]": "[32]", "epochs: 3": "epochs: 9", "seeds: 2": f"seeds: 2\nscheduler: {scheduler}"}
    )
    assert found.warnings == [
        f"s.yaml:13: scheduler.grace: the first rung, epoch {first}, comes before the first drop of the learning rate, "
        "after epoch 2: settings may rank differently after it; set grace: 3 to decide later"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"lr: 0.1": DROPS, "seeds: 2": "scheduler: {name: asha, grace: 3}"},
        {"lr: 0.1": DROPS, "seeds: 2": "scheduler: {name: fifo}"},
        {"lr: 0.1": "lr: 0.1, schedule: {name: cosine}", "seeds: 2": "seeds: 2\nscheduler: {name: asha}"},
        {"lr: 0.1": DROPS.replace("[2]", "[9]"), "seeds: 2": "scheduler: {name: asha}"},
    ],
)
def test_a_rung_after_it_or_a_schedule_without_drops_is_not_warned_of(changes: dict[str, str]) -> None:
    found = sweep({"[8, 32]": "[32]", "epochs: 3": "epochs: 9", **changes})
    assert not [warning for warning in found.warnings if "scheduler" in warning]


def test_a_comparison_of_trials_with_several_seeds_is_warned_of() -> None:
    trials = "scheduler: {name: asha, compare: trials}"
    found = sweep({"[8, 32]": "[32]", "seeds: 2": f"seeds: 2\n{trials}"})
    assert found.warnings == [
        "s.yaml:13: scheduler.compare: with compare 'trials' and 2 seeds, single seeds of a setting are stopped, which "
        "biases the medians in the report; 'settings' stops or continues all seeds of a setting together"
    ]
    assert sweep({"[8, 32]": "[32]", "seeds: 2": trials}).warnings == []
