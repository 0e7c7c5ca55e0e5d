"""The epoch iterator, on the real digits."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsnet.config.data import AugmentConfig, DataConfig
from wsnet.data import Batch, Batches, ImageSet, ImageSplits, evaluation_batches, load, on_device
from wsnet.data.sampler import rank_slice

AUGMENT = AugmentConfig(crop_padding=1, flip=True)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ImageSplits:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load(DataConfig(name="digits"), root=Path("."))


def batches(digits: ImageSplits, **options: Any) -> Batches:
    defaults: dict[str, Any] = {
        "batch_size": 128,
        "augment": AUGMENT,
        "seed": 0,
        "mean": digits.mean,
        "std": digits.std,
    }
    return Batches(digits.train, **(defaults | options))


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
        assert one.weight == other.weight


def numbered(count: int) -> ImageSet:
    """Images of one pixel, each with its own label, so that a batch shows which samples are in it."""
    return ImageSet(np.zeros((count, 1, 1, 1), np.uint8), np.arange(count))


def labels_of(count: int, **options: Any) -> list[list[int]]:
    made = Batches(numbered(count), mean=(0.0,), std=(1.0,), augment=AugmentConfig(), seed=0, **options)
    return [batch.labels.tolist() for batch in made.epoch(1)]


def test_an_epoch_has_every_image_once_and_normalized_batches(digits: ImageSplits) -> None:
    made = batches(digits)
    epoch = list(made.epoch(1))
    assert len(epoch) == made.steps == 12 and len(epoch[-1].labels) == 1497 - 11 * 128
    assert epoch[0].images.shape == (128, 1, 8, 8) and epoch[0].images.dtype == torch.float32
    assert epoch[0].labels.dtype == torch.int64 and all(batch.weight == 1 for batch in epoch)
    assert Counter(torch.cat([batch.labels for batch in epoch]).tolist()) == Counter(digits.train.labels.tolist())


def test_without_augmentation_the_images_are_those_of_the_set(digits: ImageSplits) -> None:
    made = batches(digits, augment=AugmentConfig(), batch_size=1497)
    (batch,) = made.epoch(1)
    pixels = ((batch.images * digits.std[0] + digits.mean[0]) * 255).round().to(torch.uint8)
    seen = sorted(zip(batch.labels.tolist(), (image.numpy().tobytes() for image in pixels), strict=True))
    images, labels = digits.train.images, digits.train.labels
    assert seen == sorted(zip(labels.tolist(), (image.tobytes() for image in images), strict=True))


def test_epochs_and_seeds_differ_and_repeat(digits: ImageSplits) -> None:
    made = batches(digits)
    first, second = list(made.epoch(1)), list(made.epoch(2))
    assert not torch.equal(first[0].images, second[0].images)
    assert not torch.equal(first[0].images, next(batches(digits, seed=1).epoch(1)).images)
    assert_same(list(batches(digits).epoch(2)), second)


def test_dropping_the_last_batch_drops_only_a_smaller_one() -> None:
    assert [len(batch) for batch in labels_of(10, batch_size=4, drop_last=True)] == [4, 4]
    assert [len(batch) for batch in labels_of(8, batch_size=4, drop_last=True)] == [4, 4]
    assert [len(batch) for batch in labels_of(10, batch_size=4)] == [4, 4, 2]


@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_ranks_together_get_the_batches_of_one_process(digits: ImageSplits, world: int) -> None:
    alone = list(batches(digits, batch_size=100).epoch(3))
    ranks = [list(batches(digits, batch_size=100, rank=rank, world=world).epoch(3)) for rank in range(world)]
    for step, whole in enumerate(alone):
        parts = [ranks[rank][step] for rank in range(world)]
        assert torch.equal(whole.images, torch.cat([part.images for part in parts]))
        sizes = [len(part) for part in torch.tensor_split(whole.labels, world)]
        assert [len(part.labels) for part in parts] == sizes


@pytest.mark.parametrize(("count", "batch_size", "world"), [(10, 4, 3), (9, 4, 3), (9, 8, 4), (5, 2, 4)])
def test_weighted_means_over_ranks_are_the_mean_over_the_batch(count: int, batch_size: int, world: int) -> None:
    options: dict[str, Any] = {"mean": (0.0,), "std": (1.0,), "augment": AugmentConfig(), "seed": 0}
    options |= {"batch_size": batch_size}
    alone = Batches(numbered(count), **options).epoch(1)
    ranks = [Batches(numbered(count), rank=rank, world=world, **options).epoch(1) for rank in range(world)]
    for whole, *parts in zip(alone, *ranks, strict=True):
        mean = sum(part.weight * part.labels.double().mean() for part in parts) / world
        assert float(mean) == pytest.approx(float(whole.labels.double().mean()))


def test_a_rank_without_images_takes_part_with_one_of_no_weight() -> None:
    options: dict[str, Any] = {"mean": (0.0,), "std": (1.0,), "augment": AugmentConfig(), "seed": 0, "batch_size": 4}
    last = [list(Batches(numbered(6), rank=rank, world=4, **options).epoch(1))[-1] for rank in range(4)]
    assert [batch.weight for batch in last] == [2.0, 2.0, 0.0, 0.0]
    assert [len(batch.labels) for batch in last] == [1, 1, 1, 1]
    assert [last[2].labels, last[3].labels] == [last[0].labels, last[1].labels]


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_workers_give_the_same_bits_in_every_epoch(digits: ImageSplits, memory_format: torch.memory_format) -> None:
    here = batches(digits, memory_format=memory_format, rank=1, world=2)
    workers = batches(digits, memory_format=memory_format, rank=1, world=2, loader_processes=2)
    state = torch.get_rng_state()
    for epoch in (1, 2, 7):
        assert_same(list(here.epoch(epoch)), list(workers.epoch(epoch)))
    assert torch.equal(state, torch.get_rng_state())  # dropout must not see how batches are prepared


def test_an_epoch_of_workers_may_be_left_early(digits: ImageSplits) -> None:
    workers = batches(digits, loader_processes=2)
    assert len(list(itertools.islice(workers.epoch(1), 3))) == 3
    assert_same(list(workers.epoch(2)), list(batches(digits).epoch(2)))


@pytest.mark.parametrize("world", [1, 3])
def test_evaluation_has_every_image_on_one_rank_in_order(digits: ImageSplits, world: int) -> None:
    test = on_device(digits.test, "cpu")
    ranks = [
        list(evaluation_batches(test, batch_size=64, mean=digits.mean, std=digits.std, rank=rank, world=world))
        for rank in range(world)
    ]
    labels = torch.cat([batch.labels for rank in ranks for batch in rank])
    images = torch.cat([batch.images for rank in ranks for batch in rank])
    assert labels.tolist() == digits.test.labels.tolist()
    pixels = ((images * digits.std[0] + digits.mean[0]) * 255).round().numpy()
    assert (pixels == digits.test.images.transpose(0, 3, 1, 2)).all()


def test_evaluation_gives_a_rank_too_many_nothing() -> None:
    options: dict[str, Any] = {"batch_size": 8, "mean": (0.0,), "std": (1.0,), "world": 4}
    sizes = [sum(len(batch.labels) for batch in evaluation_batches(numbered(2), rank=r, **options)) for r in range(4)]
    assert sizes == [1, 1, 0, 0]


def test_shares_are_those_of_tensor_split() -> None:
    for size, world in itertools.product(range(9), range(1, 6)):
        parts = torch.tensor_split(torch.arange(size), world)
        assert [list(range(*rank_slice(size, rank, world))) for rank in range(world)] == [
            part.tolist() for part in parts
        ]


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"rank": 2, "world": 2}, {"loader_processes": -1}, {"batch_size": 1498, "drop_last": True}],
)
def test_impossible_options_are_errors_that_name_the_value(digits: ImageSplits, wrong: dict[str, Any]) -> None:
    key, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{key}={value}"):
        batches(digits, **wrong)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_gpu_gives_the_same_bits(digits: ImageSplits, workers: int) -> None:
    gpu = [
        Batch(batch.images.cpu(), batch.labels.cpu(), batch.weight)
        for batch in batches(digits, device="cuda", loader_processes=workers).epoch(2)
    ]
    assert_same(list(batches(digits).epoch(2)), gpu)
