"""`python -m wsnet.data show`: the picture of an augmentation."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.config.files import SWEEP
from wsnet.config.augment import AugmentConfig
from wsnet.config.data import DataConfig
from wsnet.data import ImageSplits, load
from wsnet.data.__main__ import main
from wsnet.data.show import contact_sheet, describe, shown_images

DUAL = AugmentConfig.model_validate({"dual_cutout": {"size": 3}})
AUGMENTED = "{name: digits, validation: 200, augment: {cutout: {size: 3}}}"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))


def digits() -> ImageSplits:
    return load(DataConfig(name="digits"), root=Path("."))


@pytest.mark.slow
def test_the_command_draws_a_row_for_each_augmentation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "s.yaml", tmp_path / "new" / "a.png"
    text = SWEEP.replace("{name: digits, validation: 200}", AUGMENTED)
    file.write_text(text.replace("train.batch_size: [8, 32]", "data.augment.flip: [false, true]"))
    assert main(["show", str(file), "--out", str(out), "--set", "data.augment.cutout.size=4"]) == 0
    assert "3 rows of images of digits" in capsys.readouterr().out
    assert Image.open(out).size[1] > 3 * 100


def test_mistakes_in_the_file_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.yaml").write_text(SWEEP.replace("validation: 200", "augment: {cutot: {}}"))
    assert main(["show", str(tmp_path / "s.yaml")]) == 2
    assert "did you mean 'cutout'?" in capsys.readouterr().err
    assert main(["show", str(tmp_path / "none.yaml")]) == 2


def test_without_augmentation_the_images_of_the_set_are_shown() -> None:
    images = digits()
    shown = shown_images(images, AugmentConfig(), 8)
    assert shown.shape == (8, 8, 8, 1) and shown.dtype == np.uint8
    assert all((images.train.images == image).all((1, 2, 3)).any() for image in shown)


def test_both_views_are_shown_next_to_each_other() -> None:
    views, plain = shown_images(digits(), DUAL, 8), shown_images(digits(), AugmentConfig(), 8)
    for position, image in enumerate(plain[:4]):
        for view in views[2 * position : 2 * position + 2]:
            assert 4 * 4 < (view == image).sum() < 64


def test_a_sheet_of_one_row_is_a_picture() -> None:
    assert Image.open(io.BytesIO(contact_sheet(digits(), [("as it is", AugmentConfig())], columns=3))).format == "PNG"


def test_an_augmentation_is_described_as_a_file_says_it() -> None:
    config = AugmentConfig.model_validate({"flip": True, "cutout": {"size": 3}, "mixup": {}})
    assert describe(config) == "flip: true, cutout: {size: 3}, mixup: {}"
    assert describe(AugmentConfig()) == "no augmentation"
