"""Folders of images and Parquet tables of one's own, decoded, measured and cached."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.at_once import load_at_once
from tests.data.made_up import image_bytes, picture, write_folder, write_table
from wsnet.config.data import DataConfig
from wsnet.config.reading.own_files import data_config
from wsnet.data import DataError, ImageSet, ImageSplits, cache_folder, load, own_images
from wsnet.data.decode import check_memory, fitted


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))


def folder(path: Path, **options: Any) -> DataConfig:
    return data_config(name="folder", path=str(path), **options)


def train_of(images: ImageSplits) -> ImageSet:
    assert isinstance(images.train, ImageSet)
    return images.train


def test_a_folder_is_decoded_with_its_class_names_in_the_order_of_the_alphabet(tmp_path: Path) -> None:
    images = load(folder(write_folder(tmp_path / "images"), size=32))
    assert train_of(images).images.shape == (12, 32, 32, 3) and len(images.test) == 6
    assert images.classes == ("cat", "dog", "eel") and images.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_images_are_resized_to_cover_the_size_and_their_middle_is_cut_out() -> None:
    wide = fitted(picture(0, 90, 30), 30, 30)
    assert np.array_equal(np.asarray(wide), np.asarray(picture(0, 90, 30))[:, 30:60])
    assert fitted(picture(0, 61, 43), 32, 32).size == (32, 32) and fitted(picture(0, 7, 9), 32, 32).size == (32, 32)
    same = picture(0, 32, 32)
    assert np.array_equal(np.asarray(fitted(same, 32, 32)), np.asarray(same))


def test_mean_and_deviation_are_those_of_the_training_images_and_are_kept(tmp_path: Path) -> None:
    data = folder(write_folder(tmp_path / "images"), size=32)
    for _ in range(2):  # decoded, then mapped
        images = load(data)
        pixels = train_of(images).images / 255
        assert images.mean == pytest.approx(pixels.mean((0, 1, 2)), abs=5e-5)
        assert images.std == pytest.approx(pixels.std((0, 1, 2)), abs=5e-5)
    assert not train_of(images).images.flags.owndata


def test_a_validation_split_and_a_limit_work_as_with_any_set(tmp_path: Path) -> None:
    images = load(folder(write_folder(tmp_path / "images", train=6), size=16, validation=3, limit=9))
    assert images.validation is not None and [len(images.train), len(images.validation), len(images.test)] == [9, 3, 6]


def test_an_image_that_comes_later_makes_another_set(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "images")
    before = folder(path, size=32)
    first = load(before).hash
    (path / "train" / "cat" / "9999.jpg").write_bytes(image_bytes(77))
    assert load(folder(path, size=32)).hash != first
    with pytest.raises(DataError, match="have changed since the trial was planned"):
        load(before)


def test_an_image_written_over_in_its_place_makes_another_set(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "images")
    first = load(folder(path, size=32)).hash
    (path / "train" / "cat" / "0001.jpg").write_bytes(image_bytes(78))
    own_images.listed.cache_clear()  # As in another process.
    assert load(folder(path, size=32)).hash != first


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    file = write_folder(tmp_path / "images") / "train" / "dog" / "0002.jpg"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(DataError, match="not a decodable image") as caught:
        load(folder(tmp_path / "images", size=32))
    assert str(caught.value).startswith(f"{file}: ")
    assert not list(cache_folder().glob("*.arrow"))


def test_images_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train/cat/0001\.jpg: an image must be 40 x 40 pixels, but is 41 x 41"):
        load(folder(write_folder(tmp_path / "images")))


def test_a_set_that_is_too_big_for_memory_is_refused() -> None:
    with pytest.raises(DataError, match=r"here: .* set a smaller data\.size, or data\.stream: true"):
        check_memory(10**9, (3, 224, 224), "here")


@pytest.mark.parametrize("plain", [False, True])
def test_a_table_is_decoded_with_the_names_in_its_metadata(tmp_path: Path, plain: bool) -> None:
    for split in ("train", "test"):
        files: list[bytes | None] = [image_bytes(seed, file_format="PNG") for seed in range(3)]
        write_table(tmp_path / f"{split}.parquet", files, [1, 0, 1], names=["no", "yes"], plain=plain)
    images = load(data_config(name="parquet", path=str(tmp_path)))
    assert images.classes == ("no", "yes") and images.train.labels.tolist() == [1, 0, 1]
    assert np.array_equal(train_of(images).images[2], np.asarray(picture(2)))


def test_numbered_tables_are_one_set(tmp_path: Path) -> None:
    for part in range(2):
        write_table(tmp_path / f"train-0000{part}-of-00002.parquet", [image_bytes(part)], [part])
    write_table(tmp_path / "test.parquet", [image_bytes(5)], [0])
    assert load(data_config(name="parquet", path=str(tmp_path))).train.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("files", "labels", "message"),
    [
        ([image_bytes(0), None], [0, 1], "row 1: not a decodable image (empty)"),
        ([image_bytes(0), b"no image"], [0, 1], "row 1: not a decodable image (unknown format)"),
        ([image_bytes(0), image_bytes(1)[:400]], [0, 1], "row 1: not a decodable image"),
        ([image_bytes(0), image_bytes(1)], [0, 3], "row 1: a label must be 0 to 2, but got 3"),
        ([image_bytes(0), image_bytes(1)], [0, -1], "row 1: a label must be 0 to 2, but got -1"),
        ([image_bytes(0), image_bytes(1)], [0, 1], "class 'c' (label 2) has no training image"),
    ],
)
def test_what_is_wrong_with_a_table_is_named_with_its_row(
    tmp_path: Path, files: list[bytes | None], labels: list[int], message: str
) -> None:
    write_table(tmp_path / "train.parquet", files, labels, names=["a", "b", "c"])
    write_table(tmp_path / "test.parquet", [image_bytes(0)], [0], names=["a", "b", "c"])
    with pytest.raises(DataError) as caught:
        load(data_config(name="parquet", path=str(tmp_path), size=32))
    assert f"{tmp_path / 'train.parquet'}: {message}" in str(caught.value)


def test_a_test_table_that_names_other_classes_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", [image_bytes(0), image_bytes(1)], [0, 1], names=["a", "b"])
    write_table(tmp_path / "test.parquet", [image_bytes(0)], [0], names=["b", "a"])
    with pytest.raises(DataError, match=r"test\.parquet: the classes must be those of"):
        load(data_config(name="parquet", path=str(tmp_path)))


@pytest.mark.slow
def test_ten_processes_that_start_at_once_decode_a_folder_once(tmp_path: Path) -> None:
    data = folder(write_folder(tmp_path / "images", train=20), size=32)
    results = load_at_once(10, data, cache=tmp_path / "cache", root=tmp_path)
    assert sorted(found.decodes for found in results) == [0] * 9 + [1]
    assert len({(found.hash, found.total) for found in results}) == 1
