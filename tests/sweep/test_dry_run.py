"""What a dry run prints: every value of every axis, on any terminal, and a time that slots do not shorten too far."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from wsnet.storage import TrialEntry
from wsnet.sweep.commands.setting_table import Fact, print_settings

SECONDS = Fact(name="per trial", text=lambda row: "3 days", can_go=False)
WIDE = Fact(name="parameters", text=lambda row: row[0].setting_id * 9)


def printed(places: list[dict[str, Any]], facts: list[Fact], width: int) -> list[str]:
    entries = [
        TrialEntry(trial_id=f"t{i}", setting_id=f"s{i}", seed=0, name=f"n{i}-s0", axes=axes)
        for i, axes in enumerate(places)
    ]
    console = Console(file=StringIO(), width=width)
    print_settings(entries, list(dict.fromkeys(key for axes in places for key in axes)), facts, console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_each_setting_is_a_row_with_its_values_in_columns() -> None:
    places = [{"model.norm.name": name, "train.batch_size": size} for name in ("batch", "layer") for size in (1, 64)]
    head, *rows = printed(places, [SECONDS], 80)
    assert head.split() == ["norm", "batch_size", "per", "trial"]
    assert [row.split() for row in rows][1] == ["batch", "64", "3", "days"] and len(rows) == 4


def test_options_of_a_norm_stand_beside_its_name() -> None:
    lines = printed([{"model.norm.name": "group", "model.norm.groups": n} for n in (2, 4)], [SECONDS], 80)
    assert lines[1].split()[:3] == ["group,", "groups", "2"]


def test_axes_of_one_section_stand_together() -> None:
    nets = [("batch", "plain", 0.1), ("group", "standardized", 0.2)]
    places = [{"model.norm.name": norm, "optim.lr": lr, "model.weight": weight} for norm, weight, lr in nets]
    assert printed(places, [SECONDS], 80)[0].split()[:3] == ["norm", "weight", "lr"]


def test_many_settings_are_folded_along_the_axis_with_most_values() -> None:
    places = [{"optim.lr": lr, "train.batch_size": 2**k} for lr in (0.03, 0.1, 0.3, 1.0, 3.0) for k in range(9)]
    title, _, *rows = printed(places, [SECONDS], 80)
    assert title == "45 settings in 5 rows:" and len(rows) == 5
    assert "1, 2, 4, 8, 16, 32, 64, 128, 256" in rows[0]


def test_what_the_label_of_a_case_covers_is_no_column() -> None:
    nets = [("WRN", 28, 0.0), ("WRN", 28, 0.3), ("VGG", 16, 0.0)]
    places = [{"case": case, "model.depth": depth, "model.dropout": dropout} for case, depth, dropout in nets]
    head, *_, last = printed(places, [SECONDS], 80)
    assert head.split() == ["case", "dropout", "per", "trial"] and last == "Covered by the case: model.depth"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_value_is_cut_on_a_narrow_terminal(width: int) -> None:
    values = [0.9990234375, 0.9921875]
    places = [{"model.norm.forward_decay": a, "model.norm.backward_decay": b} for a in values for b in values]
    text = "\n".join(printed(places, [SECONDS, WIDE], width))
    assert all(text.count(str(value)) == 4 for value in values)
    assert ("Left out at 40 columns: parameters" in text) == (width == 40)
