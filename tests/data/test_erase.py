"""Cutout, Random Erasing and dual cutout of normalized images."""

import pytest
import torch
from scipy.stats import ks_1samp, norm, uniform
from torch import Tensor

from wsnet.config.augment import AugmentConfig, CutoutConfig, DualCutoutConfig, RandomErasingConfig
from wsnet.data.boxes import covered, cutout_boxes, erasing_boxes
from wsnet.data.erase import dual_cutout, erased
from wsnet.data.random import Draws

FORMATS = [torch.channels_last, torch.contiguous_format]
SAMPLES = torch.arange(100, 400)
SIZE = {"height": 32, "width": 32}


def images() -> Tensor:
    return torch.randn(300, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def erasing(value: str | float) -> AugmentConfig:
    return AugmentConfig(random_erasing=RandomErasingConfig.model_validate({"value": value}))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_cutout_is_zero_inside_and_the_image_outside(memory_format: torch.memory_format) -> None:
    config = AugmentConfig(cutout=CutoutConfig(size=12))
    batch = images().to(memory_format=memory_format)
    found = erased(batch.clone(), config, Draws(3, 2, SAMPLES))
    inside = covered(cutout_boxes(config.cutout, Draws(3, 2, SAMPLES), **SIZE), batch).bool().expand_as(batch)
    assert (found[inside] == 0).all() and torch.equal(found[~inside], batch[~inside])
    assert found.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("value", ["one", "per_pixel", -1.5])
def test_erasing_fills_its_box_and_leaves_the_rest(memory_format: torch.memory_format, value: str | float) -> None:
    batch = images().to(memory_format=memory_format)
    config = erasing(value)
    found = erased(batch.clone(), config, Draws(3, 2, SAMPLES))
    boxes = erasing_boxes(config.random_erasing, Draws(3, 2, SAMPLES), **SIZE)
    inside = covered(boxes, batch).bool().expand_as(batch)
    assert torch.equal(found[~inside], batch[~inside])
    parts = [image[part] for image, part in zip(found, inside, strict=True) if part.any()]
    assert len(parts) > 100
    if value == "one":
        assert all((part == part[0]).all() for part in parts)
        assert ks_1samp([part[0].item() for part in parts], uniform.cdf).pvalue > 1e-4
    elif value == "per_pixel":
        assert ks_1samp(torch.cat(parts).double().numpy(), norm.cdf).pvalue > 1e-4
    else:
        assert all((part == value).all() for part in parts)


@pytest.mark.parametrize("value", ["one", "per_pixel", 0.5])
def test_an_image_is_erased_alike_whatever_its_batch_and_layout(value: str | float) -> None:
    config = erasing(value).model_copy(update={"cutout": CutoutConfig(size=8)})
    whole = erased(images(), config, Draws(1, 1, SAMPLES))
    parts = [
        erased(part.to(memory_format=torch.channels_last), config, Draws(1, 1, samples))
        for part, samples in zip(images().split(70), SAMPLES.split(70), strict=True)
    ]
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_dual_cutout_gives_two_views_next_to_each_other(memory_format: torch.memory_format) -> None:
    batch = images().to(memory_format=memory_format)
    views = dual_cutout(batch, DualCutoutConfig(size=16), Draws(0, 1, SAMPLES))
    assert views.shape == (600, 3, 32, 32) and views.is_contiguous(memory_format=memory_format)
    for number in (0, 1):
        view = views[number::2]
        changed = (view != batch).any(1)
        assert (view[~changed[:, None].expand_as(view)] == batch[~changed[:, None].expand_as(view)]).all()
        assert (view.abs().amax(1)[changed] == 0).all() and changed.sum((1, 2)).min() >= 64
        assert changed.sum((1, 2)).max() == 256
    assert not torch.equal(views[0::2], views[1::2])
