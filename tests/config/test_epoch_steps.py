"""Steps of an epoch."""

from typing import Any

import pytest

from wsnet.config.epoch_steps import EpochSteps


@pytest.mark.parametrize(
    ("options", "sizes", "whole"),
    [
        ({}, [4, 4, 2], 2),
        ({"drop_last": True}, [4, 4], 2),
        ({"images": 8, "drop_last": True}, [4, 4], 2),
        ({"images": 3}, [3], 1),
        ({"images": 3, "drop_last": True}, [], 1),
        ({"at_most": 2}, [4, 4], 2),
        ({"at_most": 1}, [4], 1),
        ({"at_most": 9}, [4, 4, 2], 2),
    ],
)
def test_an_epoch_is_whole_batches_and_a_rest(options: dict[str, Any], sizes: list[int], whole: int) -> None:
    steps = EpochSteps(**{"images": 10, "batch_size": 4, **options})
    assert [steps.images_in(step) for step in range(steps.count)] == sizes
    assert steps.whole_batches == whole
