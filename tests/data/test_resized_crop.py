"""Random resized crops: the rule is torchvision's, the draws are ours; and their resizing, for a whole batch."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as v2

from tests.data.test_crop_flip import random_images
from wsnet.config.augment import RandomResizedCropConfig
from wsnet.data.random import Draws
from wsnet.data.resized_crop import crop_attempts, file_crop_attempts, resized_crops

CROP = RandomResizedCropConfig()


def file_boxes(count: int, height: int, width: int) -> np.ndarray:
    """Crops of so many image files of this size, each as one image's crop is found."""
    attempts = file_crop_attempts(CROP, Draws(0, 1, torch.arange(count)))
    found = np.array([attempts.box(image, height, width) for image in range(count)])
    assert np.array_equal(found, attempts.boxes(height, width))
    return found


def crop_boxes(config: RandomResizedCropConfig, count: int, *, height: int, width: int) -> torch.Tensor:
    draws = Draws(0, 1, torch.arange(count))
    return torch.from_numpy(crop_attempts(config, draws).boxes(height, width))


@pytest.mark.parametrize(
    ("before", "after", "channels"), [((32, 32), (32, 32), 3), ((37, 90), (24, 24), 3), ((28, 28), (40, 40), 1)]
)
def test_each_crop_is_resized_as_torchvision_does_it(
    before: tuple[int, int], after: tuple[int, int], channels: int
) -> None:
    images = random_images(64, *before, channels).permute(0, 3, 1, 2)
    boxes = crop_boxes(CROP, 64, height=before[0], width=before[1])
    found = resized_crops(images, boxes, height=after[0], width=after[1])
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
    assert torch.equal(resized_crops(images, torch.tensor([[0, 0, 32, 32]] * 4), height=32, width=32), images)


def test_one_colour_stays_that_colour() -> None:
    images = torch.full((50, 3, 33, 47), 201, dtype=torch.uint8)
    boxes = crop_boxes(RandomResizedCropConfig(scale=(0.01, 1.0)), 50, height=33, width=47)
    assert (resized_crops(images, boxes, height=20, width=20) == 201).all()


def test_the_batch_and_the_layout_do_not_matter() -> None:
    images = random_images(40).permute(0, 3, 1, 2)
    boxes = crop_boxes(CROP, 40, height=32, width=32)
    whole = resized_crops(images, boxes, height=24, width=24)
    parts = [
        resized_crops(image.contiguous(), box, height=24, width=24)
        for image, box in zip(images.split(3), boxes.split(3), strict=True)
    ]
    assert torch.equal(whole, torch.cat(parts))


# The crops of image files


def test_a_crop_never_leaves_the_image_and_has_the_asked_area_and_ratio() -> None:
    for top, left, height, width in file_boxes(500, 375, 500).tolist():
        assert 0 <= top <= 375 - height and 0 <= left <= 500 - width
        assert 0.07 < height * width / (375 * 500) <= 1 and 0.74 < width / height < 1.35


def test_crops_are_distributed_as_torchvisions() -> None:
    from torchvision.transforms import RandomResizedCrop

    count = 4000
    image = torch.empty(3, 300, 500)
    torch.manual_seed(0)
    theirs = np.array([RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(count)], float)
    ours = file_boxes(count, 300, 500).astype(float)
    for column in range(4):
        one, other = ours[:, column], theirs[:, column]
        error = 5 * np.sqrt((one.var() + other.var()) / count)
        assert abs(one.mean() - other.mean()) < error and one.std() == pytest.approx(other.std(), rel=0.06)


@pytest.mark.parametrize(("height", "width"), [(10, 300), (300, 10), (1, 1)])
def test_an_image_of_extreme_shape_gives_its_middle(height: int, width: int) -> None:
    for top, left, rows, columns in file_boxes(200, height, width).tolist():
        assert 1 <= rows <= height - top and 1 <= columns <= width - left
        if (rows, columns) == (height, width) or rows > columns * 2 or columns > rows * 2:
            assert (height, width) == (1, 1)


def test_a_draw_depends_on_seed_epoch_and_image_alone() -> None:
    def boxes(seed: int, epoch: int, *samples: int) -> list[tuple[int, ...]]:
        attempts = file_crop_attempts(CROP, Draws(seed, epoch, torch.tensor(samples)))
        return [attempts.box(place, 300, 500) for place in range(len(samples))]

    many, few = boxes(3, 5, *range(100)), boxes(3, 5, 7, 99)
    assert few == [many[7], many[99]]
    assert many[7] != boxes(3, 6, 7)[0] and many[7] != boxes(4, 5, 7)[0]
