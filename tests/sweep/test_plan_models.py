"""What a plan says of its models: their memory, and the weights that they begin from."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from tests.sweep.tiny import write
from wsnet.config import ConfigError, read_sweep
from wsnet.models import activation_bytes, build
from wsnet.storage import Folder
from wsnet.sweep.dry_run import show_costs
from wsnet.sweep.plan import Plan, make_plan
from wsnet.training import Trial


def plan(tmp_path: Path, **changes: Any) -> Plan:
    path = write(tmp_path, **changes)
    return make_plan(read_sweep(str(path), []), path.name, root=tmp_path)


@pytest.mark.slow
def test_a_trial_from_pretrained_weights_has_the_identity_that_it_is_planned_with(tmp_path: Path) -> None:
    first = plan(tmp_path).trials[0].config
    facts = first.data.facts
    files = [tmp_path / name for name in ("a.pth", "b.pth", "same_as_a.pth")]
    for seed, file in zip((0, 1, 0), files, strict=True):
        torch.manual_seed(seed)
        state = build(first.model, classes=facts.classes, shape=facts.shape).state_dict()
        torch.save(state, tmp_path / "state")
        file.write_bytes((tmp_path / "state").read_bytes())
    made = plan(tmp_path, grid={"model.pretrained": [False, *map(str, files)]}, seeds=1)
    ids = [trial.entry.trial_id for trial in made.trials]
    assert ids == [Trial.prepare(trial.config, root=tmp_path).trial_id for trial in made.trials]
    assert len(set(ids)) == len(ids) == 3
    places = [place["model.pretrained"] for place in made.trials[1].entry.places]
    assert places == [str(files[0]), str(files[2])]


def test_weights_that_are_not_there_are_a_mistake_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.pretrained: there is no file .*nowhere.pth"):
        plan(tmp_path, grid={"model.pretrained": [str(tmp_path / "nowhere.pth")]})


def test_a_dry_run_shows_the_memory_of_activations(tmp_path: Path) -> None:
    path = write(tmp_path, seeds=1)
    sweep = read_sweep(str(path), [])
    console = Console(file=StringIO(), width=200)
    show_costs(sweep, path.name, root=tmp_path, folder=Folder(tmp_path / "runs"), console=console)
    config = sweep.settings[0].config
    kept = activation_bytes(config.model, config.data.facts.classes, config.data.facts.shape)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "kept/image" in shown and f" {kept / 1000:.0f} kB " in shown
