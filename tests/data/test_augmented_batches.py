"""Whole batches with every augmentation: the same bits whatever the workers and ranks."""

from typing import Any

import numpy as np
import pytest
import torch

from wsnet.config.augment import AugmentConfig
from wsnet.data import Batch, Batches, ImageSet

CROP: dict[str, Any] = {"crop_padding": 4, "flip": True}
KINDS: dict[str, dict[str, Any]] = {
    "cutout": CROP | {"cutout": {"size": 8}},
    "erasing": CROP | {"random_erasing": {"value": "per_pixel"}},
    "mixup": CROP | {"mixup": {"alpha": 0.2}, "cutout": {"size": 8}},
    "mixup per image": CROP | {"mixup": {"per": "image"}, "random_erasing": {}},
    "cutmix": CROP | {"cutmix": {"probability": 0.5, "per": "image"}},
    "ricap": CROP | {"ricap": {}},
    "ricap per image": CROP | {"ricap": {"per": "image"}},
    "dual cutout": CROP | {"dual_cutout": {"size": 8}},
    "colours": {
        "random_resized_crop": {"size": 24},
        "flip": True,
        "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 0.8},
        "greyscale": 0.2,
    },
}
RANDOM = np.random.default_rng(0)
IMAGES = ImageSet(RANDOM.integers(0, 256, (100, 32, 32, 3), dtype=np.uint8), RANDOM.integers(0, 10, 100))
each_kind = pytest.mark.parametrize("kind", KINDS)


def batches(kind: str, **options: Any) -> Batches:
    how: dict[str, Any] = {"batch_size": 32, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "seed": 3, "classes": 10}
    return Batches(IMAGES, augment=AugmentConfig.model_validate(KINDS[kind]), **(how | options))


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
        assert one.images.stride() == other.images.stride() and one.weight == other.weight
        assert (one.targets is None) == (other.targets is None)
        assert one.targets is None or torch.equal(one.targets, other.targets)


@each_kind
def test_an_epoch_repeats_and_another_differs(kind: str) -> None:
    first, made = list(batches(kind).epoch(1)), batches(kind)
    second = list(made.epoch(2))
    assert_same(list(made.epoch(1)), first)
    assert not torch.equal(first[0].images, second[0].images)
    assert not torch.equal(first[0].images, next(batches(kind, seed=4).epoch(1)).images)


@each_kind
def test_the_ranks_together_get_the_batches_of_one_process(kind: str) -> None:
    views = 2 if kind == "dual cutout" else 1
    ranks = [list(batches(kind, rank=rank, world=3).epoch(2)) for rank in range(3)]
    for step, whole in enumerate(batches(kind).epoch(2)):
        parts = [rank[step] for rank in ranks]
        assert torch.equal(whole.images, torch.cat([part.images for part in parts]))
        assert torch.equal(whole.labels, torch.cat([part.labels for part in parts]))
        assert len(whole.images) == views * len(whole.labels)
        if whole.targets is not None:
            assert torch.equal(whole.targets, torch.cat([part.targets for part in parts if part.targets is not None]))


@pytest.mark.parametrize("kind", ["mixup", "dual cutout", "colours"])
def test_workers_give_the_same_bits(kind: str) -> None:
    workers = batches(kind, loader_processes=2, rank=1, world=2)
    for epoch in (1, 3):
        assert_same(list(workers.epoch(epoch)), list(batches(kind, rank=1, world=2).epoch(epoch)))


@each_kind
def test_the_memory_format_does_not_change_the_values(kind: str) -> None:
    last, contiguous = (
        next(batches(kind, memory_format=memory_format).epoch(1))
        for memory_format in (torch.channels_last, torch.contiguous_format)
    )
    assert torch.equal(last.images, contiguous.images)
    assert last.images.is_contiguous(memory_format=torch.channels_last) and contiguous.images.is_contiguous()


def test_an_epochs_last_batch_of_one_image_is_mixed_with_itself() -> None:
    last = list(batches("mixup", batch_size=99).epoch(1))[-1]
    assert len(last.labels) == 1 and last.targets is not None
    torch.testing.assert_close(last.targets.max(), torch.tensor(1.0))


def test_a_rank_without_images_takes_part_with_one_of_no_weight() -> None:
    last = list(batches("ricap", batch_size=49, rank=3, world=4).epoch(1))[-1]
    assert last.weight == 0 and len(last.labels) == 1 and last.targets is not None


def test_other_sizes_come_out_as_asked_for() -> None:
    assert next(batches("colours").epoch(1)).images.shape == (32, 3, 24, 24)


def test_mixing_needs_the_number_of_classes() -> None:
    with pytest.raises(ValueError, match="classes=None"):
        batches("mixup", classes=None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@each_kind
@pytest.mark.parametrize("workers", [0, 2])
def test_a_gpu_gives_the_same_bits(kind: str, workers: int) -> None:
    gpu = [
        Batch(b.images.cpu(), b.labels.cpu(), b.weight, None if b.targets is None else b.targets.cpu())
        for b in batches(kind, device="cuda", loader_processes=workers).epoch(2)
    ]
    for one, other in zip(batches(kind).epoch(2), gpu, strict=True):
        exact = kind != "erasing"  # Normal values come from a function that devices compute in their own ways.
        torch.testing.assert_close(one.images, other.images, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-5)
        assert torch.equal(one.labels, other.labels)
