"""A batch that is too small for batch norm is refused before the first step."""

from typing import Any

import pytest

from tests.training.trials import config
from wsnet.config import TrialConfig
from wsnet.training import TrialError
from wsnet.training.micro_batches import check_batch_statistics

TWO_VIEWS = {"dual_cutout": {"size": 3}}


def resnet(
    norm: dict[str, Any] | None = None, limit: int = 200, augment: dict[str, Any] | None = None, **train: Any
) -> TrialConfig:
    """A ResNet-18 on 8x8 digits: its maps are 8, 4, 2 and 1 wide."""
    data = config(data={"limit": limit, "augment": augment or {}}, train=train).model_dump(mode="json")
    model = {"name": "resnet", "depth": 18, "stem": "cifar", "norm": norm or {"name": "batch"}}
    return TrialConfig.model_validate({**data, "model": model})


@pytest.mark.parametrize(
    ("trial", "workers", "named"),
    [
        (resnet(batch_size=1), 1, "train.batch_size=1"),
        (resnet(batch_size=3, limit=100), 1, "a last batch of 1 .*train.batch_size=3.* set train.drop_last"),
        (resnet(batch_size=4), 4, "train.batch_size=4 with 4 workers"),
        (resnet(batch_size=50, limit=103), 2, "a last batch of 3"),
        (
            resnet({"name": "ghost_batch", "ghost_size": 1}, batch_size=8),
            1,
            "train.batch_size=8 in sub-batches of ghos",
        ),
        (
            resnet({"name": "ghost_batch", "ghost_size": 8}, batch_size=17),
            1,
            "train.batch_size=17 in sub-batches of gh",
        ),
        (
            resnet({"name": "ghost_batch", "ghost_size": 8}, batch_size=33),
            2,
            "train.batch_size=33 with 2 workers in sub",
        ),
        (resnet({"name": "batch_renorm"}, batch_size=1), 1, "train.batch_size=1"),
        (resnet({"name": "ghost_batch", "ghost_size": 3}, augment=TWO_VIEWS, batch_size=2), 1, "ghost_size=3"),
        (resnet({"name": "sync_batch"}, batch_size=1), 1, "train.batch_size=1"),
        (resnet({"name": "sync_batch"}, batch_size=10, limit=102), 4, "an image for each worker, .* a last batch of 2"),
    ],
)
def test_one_image_at_one_pixel_is_refused(trial: TrialConfig, workers: int, named: str) -> None:
    with pytest.raises(TrialError, match=named):
        check_batch_statistics(trial, classes=10, workers=workers)


@pytest.mark.parametrize(
    ("trial", "workers"),
    [
        (resnet(batch_size=2), 1),
        (resnet(batch_size=3, limit=100, drop_last=True), 1),
        (resnet(batch_size=3, limit=100, steps_per_epoch=33), 1),
        (resnet({"name": "group"}, batch_size=1), 1),
        (config(train={"batch_size": 1}), 1),  # A ResNet-8: 8, 4, 2
        (resnet(batch_size=8), 4),
        (resnet({"name": "sync_batch"}, batch_size=4), 4),
        (resnet({"name": "ghost_batch", "ghost_size": 8}, batch_size=24), 1),
        (resnet({"name": "ghost_batch", "ghost_size": 32}, batch_size=10), 1),
        # What is left over is not trained on.
        (resnet({"name": "ghost_batch", "ghost_size": 8}, limit=105, batch_size=64, drop_last=True), 1),
        (resnet(batch_size=16, micro_batch_size=8, limit=105, steps_per_epoch=3), 1),
        (resnet(batch_size=1, augment=TWO_VIEWS), 1),
    ],
)
def test_everything_else_may_be_trained(trial: TrialConfig, workers: int) -> None:
    check_batch_statistics(trial, classes=10, workers=workers)
