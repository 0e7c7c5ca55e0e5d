"""`data.name: folder`, `parquet` and `imagenet`: what the configuration says of them before anything is decoded."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.config.files import mistakes_of
from tests.data.made_up import image_bytes, write_folder, write_table
from wsnet.config import ConfigError, TrialConfig, read_sweep, read_trial, setting_id
from wsnet.config.data import DataConfig
from wsnet.config.reading.own_files import data_config
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile, dump_yaml

SWEEP: dict[str, Any] = {
    "name": "own",
    "base": {
        "data": {"name": "folder", "path": "images", "size": 32},
        "model": {"name": "cifar_resnet", "depth": 8},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": 4},
    },
}


def write_sweep(folder: Path, data: dict[str, Any] | None = None) -> str:
    base = {**SWEEP["base"], "data": {**SWEEP["base"]["data"], **(data or {})}}
    (folder / "own.yaml").write_text(json.dumps({**SWEEP, "base": base}))
    return str(folder / "own.yaml")


def test_a_folder_says_how_many_images_and_classes_it_has(tmp_path: Path) -> None:
    data = data_config(name="folder", path=str(write_folder(tmp_path)), size=32)
    assert (data.facts.train, data.facts.test, data.facts.classes) == (12, 6, 3)
    assert data.facts.shape == (3, 32, 32) and data.train_size == 12 and not data.streams


def test_without_a_size_the_first_image_gives_the_shape(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, same_size=True)
    assert data_config(name="folder", path=str(folder)).facts.shape == (3, 40, 50)
    (folder / "train" / "cat" / "0000.jpg").write_bytes(image_bytes(0, mode="L"))
    assert data_config(name="folder", path=str(folder)).facts.shape == (1, 40, 50)
    assert data_config(name="folder", path=str(folder), channels=3).facts.shape == (3, 40, 50)


def test_a_folder_with_the_name_of_an_image_is_none(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    before = data_config(name="folder", path=str(folder)).facts
    (folder / "train" / "cat" / "0000b.jpg").mkdir()
    assert data_config(name="folder", path=str(folder)).facts == before


@pytest.mark.parametrize("names", [None, ["a", "b", "c", "d"]])
def test_a_table_says_its_rows_and_classes(tmp_path: Path, names: list[str] | None) -> None:
    for split in ("train", "test"):
        write_table(tmp_path / f"{split}.parquet", [image_bytes(n) for n in range(3)], [2, 0, 1], names=names)
    facts = data_config(name="parquet", path=str(tmp_path)).facts
    assert (facts.train, facts.test, facts.classes, facts.shape) == (3, 3, 4 if names else 3, (3, 40, 50))


def test_numbered_tables_of_the_hub_are_found_and_a_missing_one_is_missed(tmp_path: Path) -> None:
    for part in range(2):
        write_table(tmp_path / "data" / f"train-0000{part}-of-00002.parquet", [image_bytes(part)], [part])
    write_table(tmp_path / "data" / "validation-00000-of-00001.parquet", [image_bytes(5)], [0])
    facts = data_config(name="parquet", path=str(tmp_path)).facts
    assert (facts.train, facts.test, facts.classes) == (2, 1, 2)
    (tmp_path / "data" / "train-00000-of-00002.parquet").unlink()
    with pytest.raises(ValidationError, match="must have 2 files train"):
        data_config(name="parquet", path=str(tmp_path))


def test_imagenet_is_known_without_its_files() -> None:
    data = DataConfig(name="imagenet")
    assert data.streams and data.facts.train == 1_281_167 and data.facts.shape == (3, 224, 224)
    assert DataConfig(name="imagenet", size=64).facts.shape == (3, 64, 64)


def test_a_relative_path_is_relative_to_the_file_and_on_the_command_line_to_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, other = write_folder(tmp_path / "sweeps" / "images"), write_folder(tmp_path / "here" / "other", train=5)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = write_sweep(tmp_path / "sweeps")
    assert read_sweep(path).settings[0].config.data.path == str(images)
    monkeypatch.chdir(tmp_path / "here")
    (setting,) = read_sweep(path, ["data.path=other"]).settings
    assert setting.config.data.path == str(other) and setting.config.data.facts.train == 15


def test_what_was_found_travels_with_the_configuration(tmp_path: Path) -> None:
    write_folder(tmp_path / "images")
    config = read_sweep(write_sweep(tmp_path)).settings[0].config
    (tmp_path / "images").rename(tmp_path / "gone")
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config
    (tmp_path / "trial.yaml").write_text(dump_yaml(config.model_dump(mode="json")))
    assert read_trial(str(tmp_path / "trial.yaml")) == config
    moved = read_trial(str(tmp_path / "trial.yaml"), [f"data.path={tmp_path / 'gone'}"])
    assert moved.data.found is not None and moved.data.found.path == str(tmp_path / "gone")


def test_the_place_of_the_images_is_no_part_of_the_identity_but_tells_settings_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_folder(tmp_path / name)
    text = {**SWEEP, "grid": {"data.path": [str(tmp_path / "one"), str(tmp_path / "two")]}}
    one, two = sweep_of(YamlFile.parse(json.dumps(text), "s.yaml")).settings
    assert setting_id(one.config, data_hash="x") == setting_id(two.config, data_hash="x")
    assert setting_id(one.config, data_hash="x") != setting_id(two.config, data_hash="y")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "folder"}, "data.name 'folder' needs data.path"),
        ({"name": "cifar10", "path": "x"}, "has no effect with 'cifar10'; only imagenet, folder and parquet take it"),
        ({"name": "cifar10", "size": 16}, "has no effect with 'cifar10'; only imagenet, folder and parquet take it"),
        ({"name": "digits", "stream": True}, "has no effect with 'digits'; only 'folder' takes it"),
        ({"name": "imagenet", "stream": True}, "imagenet is always streamed"),
        ({"name": "imagenet", "channels": 1}, "has an effect only with folder and parquet"),
        ({"name": "imagenet", "augment": {"crop_padding": 4}}, "augment.crop_padding has no effect on streamed images"),
    ],
)
def test_an_option_without_effect_is_a_mistake(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        data_config(**data)
    assert message in str(caught.value)


def test_a_mistake_in_the_files_is_told_with_the_line_of_the_path(tmp_path: Path) -> None:
    (line,) = mistakes_of({"{name: digits, validation: 200}": f"{{name: folder, path: {tmp_path / 'none'}}}"})
    assert line == f"s.yaml:3: base.data.path: {tmp_path / 'none'}: no such folder"


def break_folder(root: Path, what: str) -> None:
    if what == "empty":
        for file in (root / "train" / "dog").iterdir():
            file.unlink()
    elif what == "nested":
        (root / "train" / "dog").rename(root / "train" / "inner")
        (root / "train" / "dog").mkdir()
        (root / "train" / "inner").rename(root / "train" / "dog" / "inner")
    elif what == "unknown":
        (root / "test" / "dog").rename(root / "test" / "dgo")
    elif what == "unsorted":
        (root / "test" / "cat" / "0000.jpg").rename(root / "test" / "0000.jpg")
    elif what == "both":
        (root / "val").mkdir()
    elif what == "no test":
        (root / "test").rename(root / "evaluation")
    elif what == "damaged first":
        (root / "train" / "cat" / "0000.jpg").write_bytes(b"not an image")
    elif what == "pipe":
        os.mkfifo(root / "test" / "cat" / "pipe.jpg")
    elif what == "link to a pipe":
        os.mkfifo(root / "pipe")
        (root / "train" / "cat" / "link.jpg").symlink_to(root / "pipe")


@pytest.mark.parametrize(
    ("what", "place", "message"),
    [
        ("empty", "train/dog", "a class must have images directly in its folder"),
        ("nested", "train/dog", "but has none; it holds the folder 'inner'"),
        ("unknown", "test/dgo", "there is no class 'dgo' in"),
        ("unsorted", "test", "must be sorted into a folder for each class, but 1 are directly in it, such as 0000.jpg"),
        ("both", "", "has both test/ and val/; keep one of them"),
        ("no test", "", "must have the folders train/ and test/ (or val/)"),
        ("damaged first", "train/cat/0000.jpg", "not a decodable image"),
        ("pipe", "test/cat/pipe.jpg", "must be an image file, but is a pipe"),
        ("link to a pipe", "train/cat/link.jpg", "must be an image file, but is a pipe"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(tmp_path: Path, what: str, place: str, message: str) -> None:
    write_folder(tmp_path / "images")
    break_folder(tmp_path / "images", what)
    with pytest.raises(ConfigError) as caught:
        read_sweep(write_sweep(tmp_path))
    (mistake,) = caught.value.mistakes
    assert mistake.key == "base.data.path" and message in mistake.message
    assert mistake.message.startswith(str(tmp_path / "images" / place))


@pytest.mark.parametrize("place", [b"train/cat/caf\xe9.jpg", b"train/caf\xe9/0000.jpg"])
def test_a_name_that_is_not_utf8_is_refused_and_can_be_printed(tmp_path: Path, place: bytes) -> None:
    file = os.path.join(os.fsencode(write_folder(tmp_path / "images")), place)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "wb") as image:
        image.write(image_bytes(0))
    with pytest.raises(ConfigError) as caught:
        read_sweep(write_sweep(tmp_path))
    assert "caf\\xe9" in str(caught.value) and "file names must be UTF-8" in str(caught.value)
    str(caught.value).encode()


def test_a_label_of_a_thousand_million_is_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_table(tmp_path / f"{split}.parquet", [image_bytes(n) for n in range(2)], [0, 10**9])
    with pytest.raises(ValidationError, match=r"train\.parquet: labels must be below 1,000,000, but the largest is"):
        data_config(name="parquet", path=str(tmp_path))


def test_the_unsorted_validation_images_of_imagenet_come_with_two_ways_to_sort_them(tmp_path: Path) -> None:
    write_folder(tmp_path, test_name="val")
    for number in range(3):
        (tmp_path / "val" / f"ILSVRC2012_val_0000000{number}.JPEG").write_bytes(image_bytes(number))
    with pytest.raises(ValidationError) as caught:
        data_config(name="folder", path=str(tmp_path), stream=True)
    for part in ("3 are directly in it", "valprep.sh", "ILSVRC2012_devkit_t12.tar.gz", "split='val'"):
        assert part in str(caught.value)


def test_tars_that_are_not_unpacked_come_with_the_way_to_unpack_them(tmp_path: Path) -> None:
    (tmp_path / "ILSVRC2012_img_train.tar").touch()
    with pytest.raises(ValidationError) as caught:
        data_config(name="folder", path=str(tmp_path), stream=True)
    for part in ("not unpacked and sorted", "also needed: ILSVRC2012_img_val.tar", "split='train'"):
        assert part in str(caught.value)


def test_a_cut_table_is_named(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_table(tmp_path / f"{split}.parquet", [image_bytes(0)], [0])
    whole = (tmp_path / "train.parquet").read_bytes()
    (tmp_path / "train.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValidationError, match=r"train\.parquet: not a readable Parquet file"):
        data_config(name="parquet", path=str(tmp_path))
