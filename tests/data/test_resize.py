"""Crops of a batch, resized."""

import pytest
import torch
from torchvision.transforms.v2 import functional as v2

from tests.data.test_augment import random_images
from wsnet.config.augment import RandomResizedCropConfig
from wsnet.data.boxes import crop_boxes
from wsnet.data.crop import resized


@pytest.mark.parametrize(
    ("before", "after", "channels"), [((32, 32), (32, 32), 3), ((37, 90), (24, 24), 3), ((28, 28), (40, 40), 1)]
)
def test_each_crop_is_resized_as_torchvision_does_it(
    before: tuple[int, int], after: tuple[int, int], channels: int
) -> None:
    images = random_images(64, *before, channels).permute(0, 3, 1, 2)
    boxes = crop_boxes(RandomResizedCropConfig(), 0, 1, torch.arange(64), height=before[0], width=before[1])
    found = resized(images, boxes, height=after[0], width=after[1])
    wanted, exact = (
        torch.stack([v2.resized_crop(i, *box, list(after)) for i, box in zip(kind, boxes.tolist(), strict=True)])
        for kind in (images, images.double())
    )
    assert found.dtype == torch.uint8 and found.shape == wanted.shape
    # Two roundings each; neighbours are as different as noise has them.
    assert (found.int() - wanted.int()).abs().max() <= 2
    assert (found - exact).abs().mean() <= (wanted - exact).abs().mean() * 1.01


def test_a_whole_image_at_its_own_size_stays_as_it_is() -> None:
    images = random_images(4).permute(0, 3, 1, 2)
    assert torch.equal(resized(images, torch.tensor([[0, 0, 32, 32]] * 4), height=32, width=32), images)


def test_one_colour_stays_that_colour() -> None:
    images = torch.full((50, 3, 33, 47), 201, dtype=torch.uint8)
    boxes = crop_boxes(RandomResizedCropConfig(scale=(0.01, 1.0)), 0, 1, torch.arange(50), height=33, width=47)
    assert (resized(images, boxes, height=20, width=20) == 201).all()


def test_the_batch_and_the_layout_do_not_matter() -> None:
    images = random_images(40).permute(0, 3, 1, 2)
    boxes = crop_boxes(RandomResizedCropConfig(), 0, 1, torch.arange(40), height=32, width=32)
    whole = resized(images, boxes, height=24, width=24)
    parts = [
        resized(image.contiguous(), box, height=24, width=24)
        for image, box in zip(images.split(3), boxes.split(3), strict=True)
    ]
    assert torch.equal(whole, torch.cat(parts))
