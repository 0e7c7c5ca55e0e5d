"""Streamed sets: batches from files, whatever the workers and ranks, from any step on."""

import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.made_up import image_bytes, write_folder
from tests.training.trials import assert_same_checkpoint, config, last, trained
from wsnet.config.data import AugmentConfig, DataConfig
from wsnet.config.image_folder import FolderLayout
from wsnet.config.reading.own_files import data_config
from wsnet.data import Batch, Batches, DataError, ImageFiles, ImageSplits, evaluation_batches, load
from wsnet.data import file_index as index
from wsnet.data.decode import decoded_file
from wsnet.data.pixel_sources import evaluation_images
from wsnet.training import Trial

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # More processes than there are CPUs.


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSplits:
    """45 training images of 3 classes, 24 x 24 pixels once they are cropped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        path = write_folder(tmp_path_factory.mktemp("images"), train=15, test=5)
        return load(data_config(name="folder", path=str(path), stream=True, size=24))


def batches(images: ImageSplits, **options: Any) -> Batches:
    defaults: dict[str, Any] = {
        "batch_size": 10,
        "augment": AugmentConfig(flip=True),
        "seed": 0,
        "mean": images.mean,
        "std": images.std,
    }
    return Batches(images.train, **(defaults | options))


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
        assert one.weight == other.weight


def test_an_epoch_has_every_image_once_and_normalized_batches(images: ImageSplits) -> None:
    epoch = list(batches(images).epoch(1))
    assert [len(batch.labels) for batch in epoch] == [10, 10, 10, 10, 5] and epoch[0].images.shape == (10, 3, 24, 24)
    assert epoch[0].images.dtype == torch.float32 and epoch[0].labels.dtype == torch.int64
    assert epoch[0].images.is_contiguous(memory_format=torch.channels_last)
    assert Counter(torch.cat([batch.labels for batch in epoch]).tolist()) == {0: 15, 1: 15, 2: 15}


@pytest.mark.slow
def test_the_number_of_workers_changes_no_bit(images: ImageSplits) -> None:
    here, one, three = batches(images), batches(images, loader_processes=1), batches(images, loader_processes=3)
    state = torch.get_rng_state()
    for epoch in (1, 2, 7):
        alone = list(here.epoch(epoch))
        assert_same(alone, list(one.epoch(epoch)))
        assert_same(alone, list(three.epoch(epoch)))
    assert torch.equal(state, torch.get_rng_state())


def test_epochs_and_seeds_differ(images: ImageSplits) -> None:
    whole = {"batch_size": 45}
    first, second = (next(batches(images, **whole).epoch(epoch)).images for epoch in (1, 2))
    other = next(batches(images, **whole, seed=1).epoch(1)).images
    assert not torch.equal(first.sort(0)[0], second.sort(0)[0]) and not torch.equal(first.sort(0)[0], other.sort(0)[0])


def test_flips_mirror_about_half_of_the_images_and_leave_the_others(images: ImageSplits) -> None:
    whole = {"batch_size": 45}
    plain = next(batches(images, **whole, augment=AugmentConfig()).epoch(1)).images
    flipped = next(batches(images, **whole).epoch(1)).images
    is_mirrored = [torch.equal(one.flip(2), other) for one, other in zip(plain, flipped, strict=True)]
    assert 13 < sum(is_mirrored) < 32
    assert all(torch.equal(plain[place], flipped[place]) for place in range(45) if not is_mirrored[place])


@pytest.mark.parametrize("world", [2, 3, 7])
def test_the_ranks_together_get_the_batches_of_one_process(images: ImageSplits, world: int) -> None:
    alone = list(batches(images).epoch(3))
    ranks = [list(batches(images, rank=rank, world=world).epoch(3)) for rank in range(world)]
    for step, whole in enumerate(alone):
        parts = [rank[step] for rank in ranks if rank[step].weight]
        assert torch.equal(whole.images, torch.cat([part.images for part in parts]))
        assert torch.equal(whole.labels, torch.cat([part.labels for part in parts]))
        mean = sum(part.weight * part.labels.double().mean() for part in parts) / world
        assert float(mean) == pytest.approx(float(whole.labels.double().mean()))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_from_any_step_without_reading_what_was_done(
    images: ImageSplits, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(batches(images).epoch(4))
    again = batches(images, loader_processes=workers)
    next(again.epoch(3))  # An epoch that was left early.
    assert_same(list(again.epoch(4, start=3)), whole[3:])
    opened: list[Path] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path) or read(path))
    assert_same(list(batches(images).epoch(4, start=3)), whole[3:])
    assert len(opened) == 15


def test_evaluation_has_every_image_on_one_rank_in_order(images: ImageSplits) -> None:
    assert isinstance(images.test, ImageFiles)
    options: dict[str, Any] = {"batch_size": 4, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    for world, workers in ((1, 0), (1, 2), (3, 0)):
        ranks = [
            list(evaluation_batches(images.test, rank=r, world=world, loader_processes=workers, **options))
            for r in range(world)
        ]
        found = [batch for rank in ranks for batch in rank]
        assert torch.cat([batch.labels for batch in found]).tolist() == images.test.labels.tolist()
        pixels = torch.cat([batch.images for batch in found]).mul(255).round().to(torch.uint8)
        assert torch.equal(pixels, evaluation_images(images.test, range(15)).permute(0, 3, 1, 2))


def test_evaluation_images_are_those_of_torchvisions_usual_transforms(images: ImageSplits) -> None:
    from torchvision import transforms

    assert isinstance(images.test, ImageFiles)
    usual = transforms.Compose([transforms.Resize(round(24 * 8 / 7)), transforms.CenterCrop(24)])
    ours = evaluation_images(images.test, range(15)).numpy().astype(int)
    for number, image in enumerate(ours):
        theirs = np.asarray(usual(Image.open(images.test.path(number)).convert("RGB"))).astype(int)
        assert abs(image - theirs).max() <= 2


def one_file(path: Path, content: bytes) -> ImageFiles:
    import pyarrow as pa

    path.write_bytes(content)
    return ImageFiles(path.parent, pa.array([path.name], pa.large_string()), np.zeros(1, np.int64), 24)


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("RGB", "BMP")]
)
def test_a_jpeg_may_be_grey_or_cmyk_or_another_kind_of_file(tmp_path: Path, mode: str, kind: str) -> None:
    files = one_file(tmp_path / "image.JPEG", image_bytes(3, mode=mode, file_format=kind))
    usual = evaluation_images(one_file(tmp_path / "usual.JPEG", image_bytes(3, file_format="PNG")), [0])
    assert (evaluation_images(files, [0]).int() - usual.int()).abs().float().mean() < (20 if mode == "RGB" else 120)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("content", [b"", b"not an image", image_bytes(3)[:400]])
def test_a_damaged_file_is_named_once_its_batch_is_due(tmp_path: Path, workers: int, content: bytes) -> None:
    files = one_file(tmp_path / "image.JPEG", content)
    options: dict[str, Any] = {"batch_size": 1, "mean": (0.0,) * 3, "std": (1.0,) * 3, "loader_processes": workers}
    made = Batches(files, augment=AugmentConfig(), seed=0, **options)
    with pytest.raises(DataError) as caught:
        list(made.epoch(1))
    assert str(caught.value).startswith(f"{tmp_path / 'image.JPEG'}: not a decodable image (")
    with pytest.raises(DataError, match=r"image\.JPEG"):
        list(evaluation_batches(files, **options))


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"rank": 2, "world": 2}, {"loader_processes": -1}, {"batch_size": 46, "drop_last": True}],
)
def test_impossible_options_are_errors_that_name_the_value(images: ImageSplits, wrong: dict[str, Any]) -> None:
    key, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{key}={value}"):
        batches(images, **wrong)


# The index


def test_mean_and_deviation_are_measured_on_training_images(images: ImageSplits) -> None:
    assert isinstance(images.train, ImageFiles)
    pixels = evaluation_images(images.train, range(45)).double() / 255
    assert images.mean == pytest.approx(pixels.mean((0, 1, 2)).tolist(), abs=1e-4)
    assert images.std == pytest.approx(pixels.std((0, 1, 2)).tolist(), abs=1e-4)


@pytest.mark.slow
def test_imagenet_has_to_be_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"imagenet: no such folder\n.*--data-root"):
        load(DataConfig(name="imagenet"), root=tmp_path)
    write_folder(tmp_path / "imagenet", test_name="val")
    with pytest.raises(DataError, match=r"train: must have 1,000 classes, but has 3; for a part of it"):
        load(DataConfig(name="imagenet"), root=tmp_path)


def test_a_class_of_imagenets_validation_images_has_fifty(tmp_path: Path) -> None:
    held = tuple(f"n{number:08}" for number in range(1000))
    layout = FolderLayout(tmp_path, ("train", "val"), held, (held, held), ())
    train, test = (
        ImageFiles(tmp_path, [None] * count, np.repeat(np.arange(1000), count // 1000), 224) for count in (2000, 49_000)
    )
    with pytest.raises(DataError, match=r"val/n00000000: must have 50 images, but has 49"):
        index._check(layout, DataConfig(name="imagenet"), train, test)
    whole = ImageFiles(tmp_path, [None] * 50_000, np.repeat(np.arange(1000), 50), 224)
    with pytest.raises(DataError, match="train: must have 1,281,167 images, but has 2,000"):
        index._check(layout, DataConfig(name="imagenet"), train, whole)


# In a training


@pytest.mark.slow
def test_a_streamed_set_trains_and_resumes_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))
    path = write_folder(tmp_path / "images", train=15, test=5)
    data = {"name": "folder", "path": str(path), "stream": True, "size": 24, "limit": None, "validation": 9}
    data["augment"] = {"flip": True}
    options = {"data": data, "train": {"epochs": 2, "batch_size": 12}}
    trained(Trial.prepare(config(**options)), tmp_path / "whole")

    def stop(record: dict[str, float]) -> None:
        raise KeyboardInterrupt

    of = Trial.prepare(config(**options | {"data": {**data, "workers": 2}}))
    with pytest.raises(KeyboardInterrupt):
        trained(of, tmp_path / "parts", report=stop)
    result = trained(of, tmp_path / "parts")
    assert result.status.status == "finished" and "validation/top1_error" in result.records[-1]
    assert_same_checkpoint(last(tmp_path / "parts"), last(tmp_path / "whole"))

    def stop_in_the_middle(epoch: int, step: int, *rest: object) -> None:
        if (epoch, step) == (2, 2):
            raise KeyboardInterrupt

    saving = {"train": {"epochs": 2, "batch_size": 12, "checkpoint_steps": 2}}
    of = Trial.prepare(config(**options | {"data": {**data, "workers": 2}} | saving))
    with pytest.raises(KeyboardInterrupt):
        trained(of, tmp_path / "steps", watch=stop_in_the_middle)
    steps: list[tuple[int, int]] = []
    trained(of, tmp_path / "steps", watch=lambda epoch, step, *rest: steps.append((epoch, step)))
    assert steps[0] == (2, 2)
    assert_same_checkpoint(last(tmp_path / "steps"), last(tmp_path / "whole"))


COLOURS = {"color_jitter": {"brightness": 0.4, "hue": 0.1}, "greyscale": 0.3}
MIXED = {**COLOURS, "cutout": {"size": 6}, "mixup": {}}


@pytest.mark.parametrize("world", [2, 3])
def test_colours_erasing_and_mixing_are_those_of_one_process(images: ImageSplits, world: int) -> None:
    options = {"augment": AugmentConfig.model_validate(MIXED), "classes": 3}
    alone, worked = (
        list(batches(images, **options).epoch(2)),
        list(batches(images, **options, loader_processes=2).epoch(2)),
    )
    ranks = [list(batches(images, **options, rank=rank, world=world).epoch(2)) for rank in range(world)]
    for step, whole in enumerate(alone):
        assert torch.equal(whole.images, worked[step].images)
        assert whole.targets is not None and whole.targets.shape == (len(whole.labels), 3)
        parts = [rank[step] for rank in ranks]
        assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
        assert torch.equal(torch.cat([part.targets for part in parts if part.targets is not None]), whole.targets)


def test_each_change_of_colour_and_erasing_has_an_effect(images: ImageSplits) -> None:
    plain = next(batches(images).epoch(1)).images
    for key, value in {**COLOURS, "cutout": {"size": 6}, "random_erasing": {}}.items():
        changed = next(
            batches(images, augment=AugmentConfig.model_validate({"flip": True, key: value})).epoch(1)
        ).images
        assert not torch.equal(plain, changed), key


@pytest.mark.filterwarnings("ignore:Image size")
def test_an_image_of_gigabytes_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    for side in (11_000, 60_000):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000)))
        (tmp_path / "huge.png").write_bytes(png)
        with pytest.raises(DataError, match=r"huge\.png: an image must have at most 100,000,000 pixels"):
            decoded_file(tmp_path / "huge.png")
