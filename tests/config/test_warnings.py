"""What is allowed and yet looks like an oversight."""

import pytest

from tests.config.files import sweep


def test_milestones_after_the_last_epoch_are_warned_of() -> None:
    found = sweep({"lr: 0.1": "lr: 0.1, schedule: {name: multistep, milestones: [1, 5]}", "[8, 32]": "[32]"})
    assert found.warnings == ["s.yaml:5: base.optim.schedule.milestones: milestones [5] are never reached in 3 epochs"]


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
