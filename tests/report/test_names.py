"""Names as papers have them."""

import json
from pathlib import Path
from typing import Any

import pytest

from wsnet.config import read_sweep
from wsnet.config.norm import NormConfig
from wsnet.report.header import axes_as_text
from wsnet.report.names import axis_name, metric_name, number_name, setting_name, setting_names, value_name

SWEEPS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))


def name(**axes: Any) -> str:
    """A setting's name; two underscores stand for a dot."""
    given = {key.replace("__", "."): json.dumps(value) for key, value in axes.items()}
    return setting_name(given, list(given))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("train.batch_size", "batch size"),
        ("train.micro_batch_size", "micro-batch size"),
        ("optim.lr", "learning rate"),
        ("model.norm.forward_decay", "forward decay"),
        ("data.augment.cutout.size", "Cutout size (pixels)"),
        ("optim.weight_decay", "weight decay"),
        ("model.some_new_key", "some new key"),
    ],
)
def test_axes_have_the_names_of_papers(key: str, words: str) -> None:
    assert axis_name(key) == words


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("test/top1_error", "test error (%)"),
        ("test/top5_error", "test top-5 error (%)"),
        ("test/top1_accuracy", "test accuracy (%)"),
        ("validation/loss", "validation loss"),
        ("train/loss", "training loss"),
        ("test_ema/top1_error", "test error (%), averaged weights"),
        ("gradient_norm", "gradient norm"),
        ("own/some_thing", "own some thing"),
    ],
)
def test_metrics_have_their_units(metric: str, words: str) -> None:
    assert metric_name(metric) == words


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"model__norm__name": "group", "model__weight": "standardized"}, "GroupNorm + WS"),
        ({"model__norm__name": "none", "model__weight": "normalized"}, "no norm + WN"),
        ({"model__norm__name": "batch", "model__weight": "none"}, "BatchNorm"),
        (
            {"model__norm__name": "batch", "train__evaluation_statistics__name": "recomputed"},
            "BatchNorm, recomputed statistics",
        ),
        ({"model__weight": "standardized"}, "WS"),
        ({"model__weight": "none"}, "plain weights"),
        ({"model__norm": {"name": "group", "groups": 8}}, "GroupNorm (groups 8)"),
        ({"model__norm__name": "mynorm.py:MyNorm"}, "MyNorm"),
        ({"optim__lr": 0.1, "model__norm__groups": 8}, "lr 0.1, 8 groups"),
        ({"optim__weight_decay": 5e-4, "train__batch_size": 64}, "weight decay 5e-4, batch size 64"),
        ({"model__name": "resnet", "model__depth": 18}, "ResNet-18"),
        ({"data__augment": {"crop_padding": 4, "flip": True, "cutout": {"size": 16}}}, "crop + flip + Cutout 16"),
        ({"data__augment": {}}, "no augmentation"),
        ({"optim__name": "adamw"}, "AdamW"),
        ({"case": "ResNet-50", "train__epochs": 90}, "ResNet-50, 90 epochs"),
        ({"train__drop_last": True}, "drop_last=true"),
        ({"optim__schedule__milestones": [30, 60]}, "milestones=[30, 60]"),
    ],
)
def test_settings_have_the_names_of_papers(axes: dict[str, Any], words: str) -> None:
    assert name(**axes) == words


def test_every_norm_has_a_name_of_its_own() -> None:
    union = NormConfig.__args__[0].__args__[0].__args__[0]  # type: ignore[attr-defined]  # The built-in ones.
    norms = [norm.model_fields["name"].annotation.__args__[0] for norm in union.__args__]
    names = [value_name("model.norm.name", json.dumps(norm)) for norm in norms]
    assert len(set(names)) == len(norms) >= 11
    assert {"FRN", "EvoNorm-S0", "online norm", "SyncBatchNorm"} <= set(names)
    assert not {*norms} & {*names}  # None has fallen back to its key.


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (1e-4, "optim.lr", "1e-4"),
        (0.00025, "optim.lr", "2.5e-4"),
        (0.03, "optim.lr", "0.03"),
        (128, "train.batch_size", "128"),
        (1.0, "optim.lr", "1"),
        (1 - 2**-10, "model.norm.forward_decay", "1023/1024"),
        (0.99, "model.norm.backward_decay", "0.99"),
        (1e-5, "model.norm.eps", "1e-5"),
        (0.0123456789, "optim.lr", "0.01235"),
        (0.998765432, "optim.momentum", "0.99877"),
        (0.0, "optim.weight_decay", "0"),
    ],
)
def test_numbers_are_short(value: float, key: str, text: str) -> None:
    assert number_name(value, key=key) == text


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_no_two_settings_of_a_sweep_have_one_name(path: Path) -> None:
    sweep = read_sweep(str(path))
    rows = list(sweep.config.report.rows or ())
    for keys in (sweep.axes, [axis for axis in sweep.axes if axis != sweep.config.report.columns], rows):
        places = [axes_as_text(place, sweep.axes) for setting in sweep.settings for place in setting.places]
        labels = {tuple(axes.get(key) for key in keys) for axes in places}
        names = setting_names(sorted(labels, key=str), keys)
        assert set(names) == labels
        assert len(set(names.values())) == len(labels)


def test_options_that_tell_nothing_apart_are_left_out() -> None:
    keys = ("model.norm.name", "model.norm.groups")
    assert list(setting_names([('"batch"', None), ('"group"', "32")], keys).values()) == ["BatchNorm", "GroupNorm"]
    two = setting_names([('"group"', "8"), ('"group"', "32")], keys)
    assert list(two.values()) == ["GroupNorm, 8 groups", "GroupNorm, 32 groups"]


def test_what_is_the_same_in_all_rows_is_left_out() -> None:
    keys = ("model.norm.name", "model.weight", "optim.lr")
    labels = [('"group"', '"none"', "0.1"), ('"group"', '"standardized"', "0.1")]
    assert list(setting_names(labels, keys).values()) == ["GroupNorm", "GroupNorm + WS"]
    assert list(setting_names(labels[:1], keys).values()) == ["GroupNorm, lr 0.1"]


@pytest.mark.parametrize(
    "labels",
    [
        [(None,), ('"none"',)],  # An option that is not given, and one that is given as its default.
        [("1",), ('"1"',)],
        [("0.12345678",), ("0.12345679",)],  # Equal when rounded.
        [('"a.py:Norm"',), ('"b.py:Norm"',)],
    ],
)
@pytest.mark.parametrize("key", ["model.weight", "model.norm.name", "optim.lr", "own.key"])
def test_equal_names_get_their_values(labels: list[tuple[str | None]], key: str) -> None:
    names = setting_names([(*label, '"x"') for label in labels], (key, "case"))
    assert len(set(names.values())) == len(labels)


def test_a_setting_without_axes_is_all_of_them() -> None:
    assert setting_name({}, ()) == "all"
    assert value_name("train.batch_size", None) == "–"  # noqa: RUF001
