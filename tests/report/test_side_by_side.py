"""Two sweeps in one table."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsnet.report import Results, read_directory
from wsnet.report.commands.compare import side_by_side
from wsnet.report.tables.pivot import pivot
from wsnet.report.tables.table import tabulate
from wsnet.report.tables.text import MISSING
from wsnet.storage import Folder, Manifest, Status, TrialEntry, trial_directory

NORM, WEIGHT, RATE = "model.norm.name", "model.weight", "optim.lr"
SELECT = {"over": [RATE], "by": "validation/top1_error", "settings": 2}


def sweep(place: Path, weights: Mapping[float, str | None], **report: Any) -> Results:
    """One norm at two learning rates, with these weights; None leaves the weights at their default."""
    trials = []
    for rate, weight in weights.items():
        axes = {NORM: "batch", RATE: rate, **({} if weight is None else {WEIGHT: weight})}
        name = f"{place.name}-{rate}"
        trials.append(TrialEntry(trial_id=name, setting_id=name, seed=0, name=name, axes=axes))
    axes = [NORM, RATE, *([WEIGHT] if any(weights.values()) else [])]
    asked = {"rows": [NORM, WEIGHT], "columns": None, "metric": "test/top1_error", "statistic": "median", **report}
    folder = Folder(str(place))
    Manifest(name=place.name, question="q", report=asked, axes=axes, trials=trials).write(folder)
    for trial in trials:
        directory, rate = trial_directory(folder, trial.trial_id), trial.axes[RATE]
        weight = trial.axes.get(WEIGHT, "none")
        model = f"{{norm: {{name: batch, momentum: 0.1}}, weight: {weight}}}"
        text = f"model: {model}\noptim: {{lr: {rate}, momentum: 0.9}}\n"
        text += "train: {evaluation_statistics: {name: running}}\n"
        directory.folder.write("trial.yaml", text.encode())
        directory.write_records([{"epoch": 1, "validation/top1_error": 10 * rate, "test/top1_error": 20 * rate}])
        directory.write_status(Status(status="finished", epoch=1))
    return read_directory(folder)


def both(folder: Path, one: Results, other: Results) -> Results:
    return side_by_side({str(folder / "one"): one, str(folder / "two"): other})


def test_an_axis_that_one_sweep_leaves_at_its_default_has_that_value_there(tmp_path: Path) -> None:
    one = sweep(tmp_path / "one", {0.1: "none", 0.2: "standardized"})
    other = sweep(tmp_path / "two", {0.1: None})
    table = tabulate(both(tmp_path, one, other))[0]
    assert table.labels[0] == ("none",) and table.cells[0] == ("2.00", "2.00")


def test_a_choice_that_both_sweeps_declare_is_made_in_each(tmp_path: Path) -> None:
    one = sweep(tmp_path / "one", {0.1: "none", 0.2: "none"}, select=SELECT)
    other = sweep(tmp_path / "two", {0.3: None, 0.4: None}, select={**SELECT, "settings": 3})
    found = both(tmp_path, one, other)
    assert tabulate(found)[0].cells == [("2.00 at lr=0.1", "6.00 at lr=0.3")]
    assert pivot(found).not_started == 1
    without = replace(other, header=replace(other.header, select=None, settings=None))
    assert both(tmp_path, one, without).header.select is None


def test_what_the_sweeps_fix_to_different_values_is_named(tmp_path: Path) -> None:
    fixed = {"train.epochs": 30, "optim.weight_decay": 1e-4, "optim.momentum": 0.9}
    one = sweep(tmp_path / "one", {0.1: "none", 0.2: "none"}, fixed=fixed)
    other = sweep(tmp_path / "two", {0.1: None, 0.2: None}, fixed={"train.epochs": 30, "optim.weight_decay": 5e-4})
    note = tabulate(both(tmp_path, one, other))[0].note
    assert (
        "Fixed: train.epochs 30, optim.momentum 0.9; in one: optim.weight_decay 0.0001; "
        "in two: optim.weight_decay 0.0005." in note
    )


def test_statistics_of_a_norm_that_keeps_none_are_no_option_of_it(tmp_path: Path) -> None:
    from wsnet.report.sources.trial_options import trial_options

    found, key = sweep(tmp_path / "one", {0.1: None}), "train.evaluation_statistics.name"
    place = str(tmp_path / "one")
    assert trial_options(place, found, [key, "model.norm.groups"]) == {"one-0.1": {key: "running"}}
    file = tmp_path / "one" / "trials" / "one-0.1" / "trial.yaml"
    file.write_text(file.read_text().replace("{name: batch, momentum: 0.1}", "{name: layer}"))
    assert trial_options(place, found, [key]) == {"one-0.1": {}}


def test_settings_of_different_axes_do_not_share_a_row(tmp_path: Path) -> None:
    one = sweep(tmp_path / "one", {0.1: None}, rows=[NORM])
    other = sweep(tmp_path / "two", {0.2: None}, rows=[NORM])
    table = tabulate(both(tmp_path, one, other))[0]
    assert table.labels == [("0.1",), ("0.2",)]
    assert [cells.count(MISSING) for cells in table.cells] == [1, 1]
