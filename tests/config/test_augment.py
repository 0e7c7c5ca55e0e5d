"""What of `data.augment` can be combined, and what is a mistake."""

from typing import Any

import pytest

from tests.config.files import mistakes_of, sweep
from tests.config.test_identity import ids, trial
from wsnet.config.augment import AugmentConfig
from wsnet.config.reading.keys import dotted_keys


def mistake(augment: str, name: str = "cifar10") -> str:
    (line,) = mistakes_of(
        {"data: {name: digits, validation: 200}": f"data: {{name: {name}, validation: 200, augment: {augment}}}"}
    )
    return line


@pytest.mark.parametrize("second", ["cutmix: {}", "ricap: {}", "dual_cutout: {size: 8}"])
def test_only_one_way_of_mixing(second: str) -> None:
    text = mistake(f"{{mixup: {{}}, {second}}}")
    assert text.startswith("s.yaml:3: base.data.augment.")
    assert f"mixup and {second.partition(':')[0]} cannot be combined; keep one of them" in text


def test_crops_and_cutouts_are_not_doubled() -> None:
    assert "both crop" in mistake("{crop_padding: 4, random_resized_crop: {}}")
    assert "dual_cutout has its own cutouts" in mistake("{cutout: {size: 8}, dual_cutout: {size: 8}}")


def test_what_would_have_no_effect_is_a_mistake() -> None:
    assert "color_jitter has no effect" in mistake("{color_jitter: {}}")
    assert "greyscale has no effect on images of one channel" in mistake("{greyscale: 0.2}", "digits")
    text = mistake("{color_jitter: {brightness: 0.1, hue: 0.1}}", "digits")
    assert "base.data.augment.color_jitter.hue: hue has no effect" in text


def test_a_cutout_that_stays_inside_must_fit() -> None:
    text = mistake("{cutout: {size: 33, overhang: false}}")
    assert "cutout.size=33 with images of 32 x 32" in text
    assert sweep({"validation: 200": "validation: 200, augment: {cutout: {size: 33}}"}).settings


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ("{random_resized_crop: {scale: [0.5, 0.1]}}", "low <= high"),
        ("{random_erasing: {area: [0.5, 1.5]}}", "less than or equal to 1"),
        ("{random_erasing: {value: noise}}", "'one' or 'per_pixel'"),
        ("{cutout: {}}", "missing"),
        ("{mixup: {lambda: 1}}", "did you mean"),
        ("{color_jitter: {hue: 0.6, contrast: 1}}", "less than or equal to 0.5"),
        ("{cutmix: {probability: 0}}", "greater than 0"),
    ],
)
def test_values_out_of_range_are_told(augment: str, said: str) -> None:
    assert said in mistake(augment) or "known:" in mistake(augment)


def test_every_option_counts_in_the_identity() -> None:
    options: list[dict[str, Any]] = [
        {"data__augment__cutout": {"size": 4}},
        {"data__augment__cutout": {"size": 4, "overhang": False}},
        {"data__augment__random_erasing": {}},
        {"data__augment__mixup": {}},
        {"data__augment__mixup": {"per": "image"}},
        {"data__augment__cutmix": {}},
        {"data__augment__ricap": {}},
        {"data__augment__dual_cutout": {"size": 4}},
        {"data__augment__random_resized_crop": {}},
        {"data__augment__color_jitter": {"brightness": 0.1}},
        {"train__label_smoothing": 0.1},
    ]
    found = [ids(trial(**change))[0] for change in [{}, *options]]
    assert len(set(found)) == len(found)


def test_what_is_off_does_not_count() -> None:
    off = dict.fromkeys(AugmentConfig.model_fields)
    off |= {"crop_padding": 0, "flip": False, "greyscale": 0.0}
    assert ids(trial(data__augment=off, train__label_smoothing=0.0)) == ids(trial())


def test_options_may_be_axes() -> None:
    axes = {"train.batch_size: [8, 32]": "data.augment.cutout.size: [2, 4]"}
    sizes = {setting.config.data.augment.cutout for setting in sweep(axes).settings}
    assert {cutout.size for cutout in sizes if cutout} == {2, 4}
    assert "data.augment.random_resized_crop.scale" in dotted_keys()
