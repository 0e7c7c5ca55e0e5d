"""Colour jitter and greyscale of a batch, against torchvision's changes of one image."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as theirs

from tests.data.test_crop_flip import random_images
from wsnet.config.augment import ColorJitterConfig
from wsnet.data import colour
from wsnet.data.colour import greyscale, jittered
from wsnet.data.random import Draws

JITTER = ColorJitterConfig(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
CHANGES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Any]] = {
    "brightness": (colour.adjust_brightness, theirs.adjust_brightness),
    "contrast": (colour.adjust_contrast, theirs.adjust_contrast),
    "saturation": (colour.adjust_saturation, theirs.adjust_saturation),
    "hue": (colour.adjust_hue, theirs.adjust_hue),
}


def planes(count: int, channels: int = 3) -> Tensor:
    images = random_images(count, channels=channels).permute(0, 3, 1, 2).contiguous()
    images[0] = 7  # Of one grey: no hue.
    return images


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_change_of_a_batch_is_torchvisions_of_each_image(name: str, channels: int) -> None:
    ours, reference = CHANGES[name]
    images = planes(21, channels)
    factors = torch.linspace(-0.5, 0.5, 21) if name == "hue" else torch.linspace(0, 2, 21)
    found = ours(images.float(), factors.double()).to(torch.uint8)
    wanted = torch.stack([reference(i, f) for i, f in zip(images, factors.tolist(), strict=True)])
    difference = (found.int() - wanted.int()).abs()
    # Where rounding takes a value over the edge of a level.
    assert difference.max() <= 1 and (difference > 0).double().mean() < 1e-2


def test_every_order_of_the_changes_is_as_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each change appends its digit to what an image holds.
    def appended(digit: int) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda values, factors: values * 4 + digit

    def changes(config: ColorJitterConfig) -> tuple[Any, ...]:
        return tuple((appended(digit), 0.0, 1.0) for digit in range(4))

    monkeypatch.setattr(colour, "_changes", changes)
    images = torch.zeros(12_000, 1, 1, 1, dtype=torch.uint8)
    orders = Counter(jittered(images, JITTER, Draws(0, 1, torch.arange(12_000))).flatten().tolist())
    assert len(orders) == 24
    assert sum((count - 500) ** 2 / 500 for count in orders.values()) < 58  # p = 0.0001


@pytest.mark.slow
def test_jitter_is_distributed_like_torchvision() -> None:
    image = random_images(1).permute(0, 3, 1, 2)[0]
    torch.manual_seed(0)
    transform = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)
    wanted = torch.stack([transform(image) for _ in range(1500)])
    found = jittered(image.expand(3000, -1, -1, -1), JITTER, Draws(0, 1, torch.arange(3000)))
    for statistic in (lambda x: x.mean((1, 2, 3)), lambda x: x.std((1, 2, 3)), lambda x: x[:, 0].mean((1, 2))):
        assert ks_2samp(statistic(found.double()).numpy(), statistic(wanted.double()).numpy()).pvalue > 1e-4


def test_only_the_given_share_of_images_is_changed() -> None:
    images = random_images(4000, 4, 4).permute(0, 3, 1, 2)
    config = JITTER.model_copy(update={"probability": 0.8})
    jitter, grey = (
        jittered(images, config, Draws(0, 1, torch.arange(4000))),
        greyscale(images, 0.2, Draws(0, 1, torch.arange(4000))),
    )
    for found, share in ((jitter, 0.8), (grey, 0.2)):
        changed = (found != images).flatten(1).any(1).double().mean()
        assert abs(changed - share) < 0.025


def test_grey_images_are_torchvisions() -> None:
    images = planes(20)
    found = greyscale(images, 1.0, Draws(0, 1, torch.arange(20)))
    assert torch.equal(found, theirs.rgb_to_grayscale(images, num_output_channels=3))


def test_an_image_is_changed_alike_whatever_its_batch() -> None:
    images, order = planes(64), torch.randperm(64, generator=torch.Generator().manual_seed(1))
    config = JITTER.model_copy(update={"probability": 0.8})

    def changed(samples: Tensor) -> Tensor:
        return greyscale(jittered(images[samples], config, Draws(5, 3, samples)), 0.3, Draws(5, 3, samples))

    assert torch.equal(changed(torch.arange(64))[order], torch.cat([changed(part) for part in order.split(7)]))
