"""Random resized crops: torchvision's rule, our draws."""

import numpy as np
import pytest
import torch

from wsnet.config.data import AugmentConfig
from wsnet.data.crop import RandomCrops


def test_a_crop_never_leaves_the_image_and_has_the_asked_area_and_ratio() -> None:
    crops = RandomCrops(AugmentConfig(), seed=0)
    for draw in crops.draws(1, range(500)):
        top, left, height, width = crops.box(draw, 375, 500)
        assert 0 <= top <= 375 - height and 0 <= left <= 500 - width
        assert 0.07 < height * width / (375 * 500) <= 1 and 0.74 < width / height < 1.35


def test_crops_are_distributed_as_torchvisions() -> None:
    from torchvision.transforms import RandomResizedCrop

    crops, count = RandomCrops(AugmentConfig(), seed=0), 4000
    image = torch.empty(3, 300, 500)
    torch.manual_seed(0)
    theirs = np.array([RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(count)], float)
    ours = np.array([crops.box(draw, 300, 500) for draw in crops.draws(1, range(count))], float)
    for column in range(4):
        one, other = ours[:, column], theirs[:, column]
        error = 5 * np.sqrt((one.var() + other.var()) / count)
        assert abs(one.mean() - other.mean()) < error and one.std() == pytest.approx(other.std(), rel=0.06)


@pytest.mark.parametrize(("height", "width"), [(10, 300), (300, 10), (1, 1)])
def test_an_image_of_extreme_shape_gives_its_middle(height: int, width: int) -> None:
    crops = RandomCrops(AugmentConfig(), seed=0)
    for draw in crops.draws(1, range(200)):
        top, left, rows, columns = crops.box(draw, height, width)
        assert 1 <= rows <= height - top and 1 <= columns <= width - left
        if (rows, columns) == (height, width) or rows > columns * 2 or columns > rows * 2:
            assert (height, width) == (1, 1)


def test_a_draw_depends_on_seed_epoch_and_image_alone() -> None:
    crops = RandomCrops(AugmentConfig(flip=True), seed=3)
    many, few = crops.draws(5, range(100)), crops.draws(5, [7, 99])
    assert few == [many[7], many[99]]
    assert many[7] != crops.draws(6, [7])[0] and many[7] != RandomCrops(AugmentConfig(flip=True), 4).draws(5, [7])[0]
    assert 30 < sum(draw.is_mirrored for draw in many) < 70
    assert not any(draw.is_mirrored for draw in RandomCrops(AugmentConfig(), 3).draws(5, range(100)))
