"""Crops and flips of a batch."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from wsnet.config.data import AugmentConfig
from wsnet.data.crop_flip import CropFlip
from wsnet.data.random import Draws

CROP_AND_FLIP = AugmentConfig(crop_padding=4, flip=True)


def random_images(count: int, height: int = 32, width: int = 32, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (count, height, width, channels), dtype=torch.uint8, generator=generator)


def reference(image: Tensor, padding: int, row: int, column: int, flip: bool) -> Tensor:
    """One crop of one (H, W, C) image, by slicing, then mirrored."""
    padded = F.pad(image, (0, 0, padding, padding, padding, padding))
    crop = padded[row : row + image.shape[0], column : column + image.shape[1]]
    return crop.flip(1) if flip else crop


@pytest.mark.parametrize(("height", "width", "channels"), [(32, 32, 3), (28, 28, 1), (8, 6, 3)])
def test_every_variant_is_the_crop_that_its_number_says(height: int, width: int, channels: int) -> None:
    augment = CropFlip(AugmentConfig(crop_padding=2, flip=True), height=height, width=width)
    images = random_images(50, height, width, channels)
    outputs = augment(images, torch.arange(50))
    for variant in range(50):
        flip, offset = divmod(variant, 25)
        row, column = divmod(offset, 5)
        assert torch.equal(outputs[variant], reference(images[variant], 2, row, column, bool(flip)))


def test_flips_alone_mirror_some_images_and_leave_the_others() -> None:
    augment, images = CropFlip(AugmentConfig(flip=True), height=32, width=32), random_images(2)
    outputs = augment(images, torch.tensor([0, 1]))
    assert torch.equal(outputs[0], images[0]) and torch.equal(outputs[1], images[1].flip(1))


def test_crops_alone_never_mirror() -> None:
    augment = CropFlip(AugmentConfig(crop_padding=4), height=32, width=32)
    assert augment.variants(Draws(0, 1, torch.arange(1000))).max() < 81


def test_no_augmentation_is_no_change() -> None:
    augment, images = CropFlip(AugmentConfig(), height=32, width=32), random_images(3)
    assert torch.equal(augment(images, augment.variants(Draws(0, 1, torch.arange(3)))), images)


@pytest.mark.slow
def test_offsets_and_flips_are_distributed_like_torchvision() -> None:
    samples = 40_000
    ours = CropFlip(CROP_AND_FLIP, height=32, width=32).variants(Draws(0, 1, torch.arange(samples)))
    # torchvision's variant of an image that shows where each of its pixels came from: value 1 + 32 * row + column
    transform = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    torch.manual_seed(0)
    positions = (1 + torch.arange(32 * 32)).view(1, 32, 32)
    theirs = torch.tensor([variant_of(transform(positions)) for _ in range(4000)])
    for variants in (ours, theirs):
        counts = torch.bincount(variants, minlength=162).double()
        expected = len(variants) / 162
        # all 162 combinations equally likely, so offsets are uniform and independent of flips; p = 0.0001
        assert len(counts) == 162 and ((counts - expected) ** 2 / expected).sum() < 235


def variant_of(positions: Tensor) -> int:
    """The number of the variant that an image of source positions shows at its centre."""
    source_row, source_column = divmod(int(positions[0, 16, 16]) - 1, 32)
    flip = bool(positions[0, 16, 15] > positions[0, 16, 16])
    column = source_column - (15 if flip else 16) + 4
    return (int(flip) * 9 + source_row - 16 + 4) * 9 + column


def test_offsets_of_neighbours_and_of_epochs_are_independent() -> None:
    augment, samples = CropFlip(CROP_AND_FLIP, height=32, width=32), torch.arange(50_000)
    first, second = (augment.variants(Draws(0, epoch, samples)).double() for epoch in (1, 2))
    for one, other in ((first, second), (first[1:], first[:-1]), (first, samples.double())):
        assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1].item()) < 0.02


def test_a_sample_is_augmented_alike_whatever_its_batch() -> None:
    augment, images = CropFlip(CROP_AND_FLIP, height=32, width=32), random_images(64)

    def augmented(samples: Tensor) -> Tensor:
        return augment(images[samples], augment.variants(Draws(5, 3, samples)))

    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    whole = augmented(torch.arange(64))
    assert torch.equal(whole[order], torch.cat([augmented(part) for part in torch.split(order, 7)]))


def test_flips_leave_the_crops_as_they_are_without() -> None:
    samples = torch.arange(500)
    both = CropFlip(CROP_AND_FLIP, height=32, width=32).variants(Draws(0, 1, samples))
    crops = CropFlip(AugmentConfig(crop_padding=4), height=32, width=32).variants(Draws(0, 1, samples))
    assert torch.equal(both % 81, crops)
