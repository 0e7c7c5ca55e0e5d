"""The batches of stacked replicates: each replicate's own, side by side."""

from itertools import islice

import pytest
import torch

from tests.data.test_augmented_batches import batches
from wsnet.data import StackedBatches

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["cutout", "dual cutout", "mixup"])
def test_each_replicate_has_the_images_and_labels_of_its_own_seed(kind: str, layout: str) -> None:
    options = {"memory_format": LAYOUTS[layout], "classes": 10, "batch_size": 4}
    alone = [batches(kind, **options, seed=seed) for seed in (3, 1)]
    together = StackedBatches(alone, LAYOUTS[layout])
    steps = list(zip(together.epoch(2, start=1), *(each.epoch(2, start=1) for each in alone), strict=True))
    for batch, *parts in islice(steps, 3):
        assert batch.images.is_contiguous(memory_format=LAYOUTS[layout])
        assert torch.equal(batch.images, torch.cat([part.images for part in parts], 1))
        for number, part in enumerate(parts):
            assert torch.equal(batch.labels[:, number], part.labels)
            assert part.targets is None or torch.equal(batch.targets[:, number], part.targets)
    assert together.first_image(2) == alone[0].first_image(2)
