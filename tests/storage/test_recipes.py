"""A changed recipe leaves the earlier one's report beside its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.tracking.sweeps import manifest, train
from wsnet.storage import Folder, Manifest
from wsnet.storage.first_report import FIRST_REPORT
from wsnet.storage.recipes import earlier_recipes, recipe_changes, set_aside_report


def fixed(**options: Any) -> Manifest:
    """A sweep whose `base` has these options; double underscores stand for dots."""
    plain = manifest()
    values = {key.replace("__", "."): value for key, value in options.items()}
    return replace(plain, report={**plain.report, "fixed": values})


def test_options_that_no_axis_varies_tell_recipes_apart() -> None:
    before = fixed(optim__weight_decay=1e-4, train__epochs=3)
    assert recipe_changes(before, before) == []
    changed = fixed(optim__weight_decay=5e-4, train__epochs=3, model__depth=8)
    assert recipe_changes(before, changed) == [
        "optim.weight_decay was 0.0001, now 0.0005",
        "model.depth was not set, now 8",
    ]
    assert recipe_changes(manifest(), before) == []  # An earlier version's manifest does not say.


def test_an_option_that_becomes_an_axis_is_no_other_recipe() -> None:
    before = fixed(optim__weight_decay=1e-4)
    assert recipe_changes(before, replace(fixed(), axes=[*before.axes, "optim.weight_decay"])) == []


def test_the_earlier_report_is_kept_and_another_start_of_the_same_recipe_keeps_its_own(tmp_path: Path) -> None:
    folder, before, now = Folder(tmp_path), fixed(optim__weight_decay=1e-4), fixed(optim__weight_decay=5e-4)
    assert set_aside_report(folder, now) is None  # Nothing is there yet.
    before.write(folder)
    assert set_aside_report(folder, now) is None  # No trial has started.
    train(folder, before.trials[0])
    folder.write("table.md", b"old")
    folder.write("mlflow.db", b"of all recipes")
    assert set_aside_report(folder, before) is None
    said = set_aside_report(folder, now)
    assert said is not None and "optim.weight_decay was 0.0001, now 0.0005" in said
    assert folder.names() == ["mlflow.db", "recipes", "trials"]
    ((place, kept),) = earlier_recipes(folder)
    assert (place.read("table.md"), kept) == (b"old", before)
    assert place.location in said


def test_the_note_of_the_first_report_comes_back_with_its_recipe(tmp_path: Path) -> None:
    folder, first, second = Folder(tmp_path), fixed(optim__weight_decay=1e-4), fixed(optim__weight_decay=5e-4)
    first.write(folder)
    train(folder, first.trials[0])
    folder.write(FIRST_REPORT, b"of the first")
    set_aside_report(folder, second)
    assert folder.read(FIRST_REPORT) is None
    second.write(folder)
    folder.write(FIRST_REPORT, b"of the second")
    set_aside_report(folder, first)
    assert folder.read(FIRST_REPORT) == b"of the first"
