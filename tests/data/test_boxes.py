"""Random rectangles: how they are distributed, and what they cover."""

import math

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import v2

from wsnet.config.augment import CutoutConfig, RandomErasingConfig, RandomResizedCropConfig
from wsnet.data.boxes import covered, cutout_boxes, erasing_boxes, square_boxes, uncovered
from wsnet.data.random import Draws
from wsnet.data.resized_crop import crop_attempts

MANY = Draws(0, 1, torch.arange(20_000))
SIZE = {"height": 32, "width": 40}
CROP = RandomResizedCropConfig()


def crop_boxes(config: RandomResizedCropConfig, draws: Draws, *, height: int, width: int) -> Tensor:
    return torch.from_numpy(crop_attempts(config, draws).boxes(height, width))


def same_distribution(ours: Tensor, theirs: Tensor) -> bool:
    """Every column's values are distributed alike (Kolmogorov and Smirnov, p = 0.0001)."""
    assert ours.shape[1] == theirs.shape[1]
    return all(ks_2samp(ours[:, i].numpy(), theirs[:, i].numpy()).pvalue > 1e-4 for i in range(ours.shape[1]))


def torchvision_boxes(transform: v2.Transform, count: int = 4000) -> Tensor:
    """The boxes that torchvision draws: top, left, height, width."""
    torch.manual_seed(0)
    image, found = torch.zeros(3, 32, 40), []
    for _ in range(count):
        made = transform.make_params([image])
        names = ("i", "j", "h", "w") if "i" in made else ("top", "left", "height", "width")
        found.append([made[name] for name in names])
    return torch.tensor(found)


def test_crops_are_distributed_like_torchvision() -> None:
    ours = crop_boxes(CROP, MANY, **SIZE)
    theirs = torchvision_boxes(v2.RandomResizedCrop(32))
    assert same_distribution(ours, theirs)
    areas = [(boxes[:, 2] * boxes[:, 3])[:, None] for boxes in (ours, theirs)]
    assert same_distribution(*areas)


def test_crops_that_never_fit_are_the_central_ones_of_torchvision() -> None:
    for ratio in ((3.0, 4.0), (0.2, 0.3)):
        ours = crop_boxes(RandomResizedCropConfig(scale=(1.0, 1.0), ratio=ratio), Draws(0, 1, torch.arange(3)), **SIZE)
        theirs = torchvision_boxes(v2.RandomResizedCrop(32, scale=(1, 1), ratio=ratio), 1)
        assert (ours == theirs).all()


def test_erasing_is_distributed_like_torchvision_with_a_log_aspect() -> None:
    config = RandomErasingConfig(probability=1.0, log_aspect=True)
    theirs = torchvision_boxes(v2.RandomErasing(p=1, scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3)))
    assert same_distribution(erasing_boxes(config, MANY, **SIZE), theirs)


def published_erasing(generator: torch.Generator) -> list[int]:
    """Algorithm 1 of Zhong et al. (2020) for one image of 32 x 40."""

    def rand(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=generator, dtype=torch.float64).item()

    while True:
        area, aspect = rand(0.02, 0.4) * 32 * 40, rand(0.3, 1 / 0.3)
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if height < 32 and width < 40:
            return [int(rand(0, 32 - height + 1)), int(rand(0, 40 - width + 1)), height, width]


def test_erasing_is_distributed_as_published() -> None:
    generator = torch.Generator().manual_seed(0)
    theirs = torch.tensor([published_erasing(generator) for _ in range(4000)])
    ours = erasing_boxes(RandomErasingConfig(probability=1.0), MANY, **SIZE)
    assert same_distribution(ours, theirs)
    assert not same_distribution(ours, erasing_boxes(RandomErasingConfig(probability=1, log_aspect=True), MANY, **SIZE))


def test_erasing_and_cutout_leave_the_other_images_alone() -> None:
    cutout = cutout_boxes(CutoutConfig(size=8, probability=0.3), MANY, **SIZE)
    erasing = erasing_boxes(RandomErasingConfig(), MANY, **SIZE)
    for boxes, probability in ((cutout, 0.3), (erasing, 0.5)):
        assert abs((boxes[:, 2] > 0).double().mean() - probability) < 0.015


@pytest.mark.parametrize(("size", "places"), [(16, 33), (7, 32)])
def test_cutouts_centre_is_anywhere_in_the_image(size: int, places: int) -> None:
    boxes = cutout_boxes(CutoutConfig(size=size), MANY, height=32, width=32)
    for side in (0, 1):
        counts = torch.bincount(boxes[:, side] + size // 2)
        expected = len(boxes) / places
        # An even square's centre is a corner of pixels, of which there are 33; p = 0.0001.
        assert len(counts) == places and ((counts - expected) ** 2 / expected).sum() < 74


def test_a_square_without_overhang_is_anywhere_inside() -> None:
    corners = torch.tensor([[0.0, 0.0], [0.999, 0.999]], dtype=torch.float64)
    boxes = square_boxes(8, corners, height=32, width=40, overhang=False)
    assert boxes.tolist() == [[0, 0, 8, 8], [24, 32, 8, 8]]
    boxes = square_boxes(8, corners, height=32, width=40, overhang=True)
    assert boxes.tolist() == [[-4, -4, 8, 8], [28, 36, 8, 8]]


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_what_is_covered_is_what_slicing_says(memory_format: torch.memory_format) -> None:
    images = torch.zeros(5, 3, 9, 7).to(memory_format=memory_format)
    boxes = torch.tensor([[0, 0, 9, 7], [-2, 3, 5, 9], [4, -1, 0, 3], [8, 6, 3, 3], [2, 2, 1, 4]])
    expected = torch.zeros(5, 3, 9, 7)
    for image, (top, left, height, width) in zip(expected, boxes.tolist(), strict=True):
        image[:, max(top, 0) : top + height, max(left, 0) : left + width] = 1
    assert torch.equal(covered(boxes, images).expand_as(images), expected)
    assert torch.equal(uncovered(boxes, images).expand_as(images), 1 - expected)


def test_boxes_depend_on_the_sample_the_epoch_and_the_seed_only() -> None:
    order = torch.randperm(100, generator=torch.Generator().manual_seed(1))
    whole = crop_boxes(CROP, Draws(3, 2, torch.arange(100)), **SIZE)
    parts = [crop_boxes(CROP, Draws(3, 2, part), **SIZE) for part in order.split(7)]
    assert torch.equal(whole[order], torch.cat(parts))
    for seed, epoch in ((4, 2), (3, 3)):
        assert not torch.equal(whole, crop_boxes(CROP, Draws(seed, epoch, torch.arange(100)), **SIZE))
