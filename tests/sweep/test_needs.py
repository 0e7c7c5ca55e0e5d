"""What a sweep needs is compared with what there is, before anything starts."""

import importlib.util
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import write
from wsnet.config import ConfigError, read_sweep
from wsnet.report import conclude
from wsnet.storage import Folder
from wsnet.sweep.cli import main
from wsnet.sweep.planning import needs
from wsnet.sweep.planning.plan import Plan, make_plan

_Usage = namedtuple("_Usage", ["total", "used", "free"])


def plan(tmp_path: Path, **changes: Any) -> Plan:
    path = write(tmp_path, **changes)
    return make_plan(read_sweep(str(path), []), path.name, root=tmp_path)


def test_tensorboard_scalars_need_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, without = (plan(tmp_path, train={"tensorboard": wanted}) for wanted in (True, False))
    needs.check_packages(made)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"train\.tensorboard: needs the tensorboard package: pip install"):
        needs.check_packages(made)
    needs.check_packages(without)


def test_a_sweep_that_fits_is_not_warned_of(tmp_path: Path) -> None:
    assert needs.warnings_of_needs(plan(tmp_path, seeds=3), Folder(tmp_path / "runs" / "tiny")) == []


def test_checkpoints_that_the_disk_cannot_hold_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, folder = plan(tmp_path, seeds=3), Folder(tmp_path / "runs" / "tiny")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(10**6, 10**6, 50_000))
    (size,) = made.sizes.values()
    assert 50_000 < 3 * size.parameters * 4 * 2 < 10**6
    (warning,) = needs.warnings_of_needs(made, folder)
    assert warning.startswith("the checkpoints of 3 trials take about ") and "has 50 kB free" in warning
    for trial in made.trials[:2]:  # Trials that have started have their checkpoints already.
        (folder / "trials" / trial.entry.trial_id).write("status.json", b"{}")
    assert needs.warnings_of_needs(made, folder) == []
    assert needs.warnings_of_needs(plan(tmp_path, seeds=9, train={"keep": "none"}), folder) == []


def test_a_dry_run_tells_what_cannot_suffice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, seeds=3)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(10**6, 10**6, 50_000))
    assert main([str(path), "--storage", str(tmp_path / "runs"), "--dry-run"], conclude=conclude) == 0
    assert "warning: the checkpoints" in capsys.readouterr().err
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    asked = [str(path), "--set", "train.tensorboard=true", "--dry-run"]
    assert main(asked, conclude=conclude) == 2
    assert "needs the tensorboard package" in capsys.readouterr().err


def test_a_trial_that_the_memory_cannot_hold_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(tmp_path, grid={"train.batch_size": [8, 64]})
    monkeypatch.setattr(needs, "_memory_here", lambda: (500_000, "this machine"))
    (warning,) = needs.warnings_of_needs(made, Folder(tmp_path / "runs"))
    assert "b64-s0 needs about" in warning
    assert "this machine has 500 kB" in warning
    monkeypatch.setattr(needs, "_memory_here", lambda: (10**9, "this machine"))
    assert needs.warnings_of_needs(made, Folder(tmp_path / "runs")) == []
