"""The files in sweeps/: every published number has its cell, and every model has the parameters that were published."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from wsnet.config import Sweep, read_sweep
from wsnet.config.published import PublishedRow, published_rows, rows_of
from wsnet.config.reading.checked_sweep import Setting
from wsnet.config.scaling import learning_rate_rule
from wsnet.models import parameter_count
from wsnet.sweep.planning.setting_names import setting_names

FILES = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))
SYSTEMS = {
    "ic_": "Image Classification",
    "on_": "Online Normalization",
    "wn_": "Weight Normalization",
    "ws_": "Weight Standardization",
}


@cache
def read(file: Path) -> Sweep:
    return read_sweep(str(file))


@cache
def parameters(model: object, classes: int, shape: tuple[int, ...]) -> int:
    return parameter_count(model, classes, shape)  # type: ignore[arg-type]


def answered(file: Path) -> list[tuple[PublishedRow, Setting]]:
    """The published numbers of a file, each with its setting."""
    link = read(file).config.report.published
    if link is None:
        return []
    return [(row, setting) for setting in read(file).settings for axes in setting.places for row in rows_of(link, axes)]


@pytest.mark.slow
def test_every_published_number_stands_beside_exactly_one_cell() -> None:
    places = defaultdict(list)
    for file in FILES:
        for row, setting in answered(file):
            places[row.id].append((file.name, setting.axes))
    assert [row.id for row in published_rows() if row.id not in places] == []
    assert {row: found for row, found in places.items() if len(found) > 1} == {}
    assert len(places) == 272


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_model_can_be_built(file: Path) -> None:
    for setting in read(file).settings:
        facts = setting.config.data.facts
        assert parameters(setting.config.model, facts.classes, facts.shape) > 0


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_models_have_the_published_number_of_parameters(file: Path) -> None:
    wrong = {
        row.id: (count, row.fields["params_m"])
        for row, setting in answered(file)
        for facts in [setting.config.data.facts]
        for count in [parameters(setting.config.model, facts.classes, facts.shape)]
        if row.fields["params_m"] and f"{count / 1e6:.2f}" != row.fields["params_m"]
    }
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_setting_is_trained_as_its_published_number_was(file: Path) -> None:
    for row, setting in answered(file):
        optim, train, data = setting.config.optim, setting.config.train, setting.config.data
        assert setting.config.model.norm.name == row.fields["norm"], row.id
        if row.source != "paper":  # In part the papers' recipes are others; the READMEs say so.
            for column, ours in {"batch_size": train.batch_size, "epochs": train.epochs, "extra.lr": optim.lr}.items():
                theirs = row.fields.get(column)
                assert not theirs or float(theirs) == ours, (row.id, column)
        schedule = row.fields.get("extra.scheduler")
        assert schedule is None or schedule == optim.schedule.name, row.id
        assert (row.fields.get("extra.augmentation") == "mixup") == data.augment.mixes, row.id
        assert data.validation == 0, row.id  # All of them trained on the whole training set.


@pytest.mark.parametrize("file", [file for file in FILES if file.stem[:3] in SYSTEMS], ids=lambda file: file.stem)
def test_the_file_of_a_published_table_names_it(file: Path) -> None:
    first = file.read_text(encoding="utf-8").split("\nname:")[0]
    assert f"{SYSTEMS[file.stem[:3]]} README" in first


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_name_of_a_sweep_is_that_of_its_file_and_its_settings_have_names(file: Path) -> None:
    sweep = read(file)
    assert sweep.config.name == file.stem
    names = setting_names([{k: v for k, v in setting.axes.items() if k in sweep.axes} for setting in sweep.settings])
    assert len(set(names)) == len(names)
    assert not any(set(name) & set(" /()[]{}'\"") for name in names)


def test_sweeps_over_batch_sizes_say_how_the_learning_rate_follows() -> None:
    rules = {file.stem: learning_rate_rule(read(file).settings, read(file).config.report.select) for file in FILES}
    assert {name: rule for name, rule in rules.items() if rule is not None} == {
        **dict.fromkeys(
            ("cifar_batchsize", "cifar_batchsize_tuned"), "tuned, among rates that follow the batch: linear"
        ),
        **dict.fromkeys(("cifar_decay_tuned", "cifar_small"), "linear"),
        **dict.fromkeys(("quickstart", "wn_cifar10", "wn_cifar10_adam"), "fixed"),
    }
