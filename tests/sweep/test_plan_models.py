"""What a plan says of its models: their memory, and the weights that they begin from."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from rich.console import Console

from tests.sweep.tiny import ROOT, write
from wsnet.config import ConfigError, read_sweep
from wsnet.config.architectures import ModelConfig
from wsnet.models import activation_bytes, build, count_model, parameter_count
from wsnet.storage import Folder
from wsnet.sweep.commands.dry_run import show_costs
from wsnet.sweep.planning import model_sizes, reference
from wsnet.sweep.planning.estimate import estimate
from wsnet.sweep.planning.plan import Plan, make_plan
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


NETWORK = {"name": "cifar_resnet", "depth": 8}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"depth": 10**6 + 2}, "base.model.depth: must be less than or equal to 2000, but got 1000002"),
        ({"width": 10**6}, "base.model.width: must be less than or equal to 100000, but got 1000000"),
        (
            {"width": 10**5},
            "must have at most 10,000,000,000 parameters, but has 2,980,009,100,010 with depth=8, width=1",
        ),
        (
            {"name": "cifar_resnext", "depth": 11, "cardinality": 10**5, "group_width": 10**5},
            "has 189,080,280,000,689,866 with depth=11, cardinality=100000, group_width=100000, classes=10",
        ),
        (
            {"width": 10**5, "norm": {"name": f"{ROOT}/tests/own_norms.py:PowerNorm"}},
            "must have at most 10,000,000,000 parameters, but has 2,980,0",
        ),
        (
            {"norm": {"name": "group", "groups": 10**12}},
            "groups must divide the channels, but got groups=1000000000000",
        ),
    ],
)
def test_a_model_that_fits_no_machine_is_refused_before_it_is_built(
    options: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    base = json.loads(write(tmp_path).read_text())["base"]
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, base={**base, "model": {**NETWORK, **options}})
    assert rule in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_settings_that_cannot_be_built_for_one_reason_are_one_mistake(tmp_path: Path) -> None:
    base = json.loads(write(tmp_path).read_text())["base"] | {"model": {"name": "resnet", "depth": 18, "stem": "cifar"}}
    grid = {"model.norm.name": ["batch", "instance"], "optim.lr": [0.1, 0.2]}
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, base=base, grid=grid)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("tiny.yaml: model.norm.name=instance: model 'resnet'") and "more than one element" in line


@pytest.mark.parametrize(
    "model",
    [
        {"name": "cifar_resnet", "depth": 38, "norm": {"name": "batch"}},
        {"name": "cifar_resnet", "depth": 47, "block": "bottleneck", "norm": {"name": "group", "groups": 4}},
        {"name": "cifar_resnet", "depth": 32, "weight": "standardized", "se_reduction": 8, "norm": {"name": "none"}},
        {"name": "cifar_resnet", "depth": 32, "norm": {"name": "instance"}},
        {"name": "preact_resnet", "depth": 56, "block": "bottleneck", "first_stage": "stem", "shortcut": "A"},
        {"name": "preact_resnet", "depth": 32, "width": 4, "weight": "normalized", "norm": {"name": "layer"}},
    ],
)
def test_the_size_of_a_deep_network_follows_from_those_of_two_shallow_ones(model: dict[str, Any]) -> None:
    about = (TypeAdapter(ModelConfig).validate_python(model), 10, (3, 32, 32))
    assert model_sizes._of_equal_blocks(*about) == model_sizes._size(*about)


def test_a_dry_run_does_not_build_a_model_of_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(tmp_path, grid={"model.width": [4, 5000]})
    built: list[int] = []
    monkeypatch.setattr(
        "wsnet.sweep.planning.stopwatch.build",
        lambda model, **options: built.append(model.width) or build(model, **options),
    )
    cost = estimate(made, threads=1, gpus=0, is_timed=True)
    small, large = (trial.entry.setting_id for trial in made.trials)
    assert built == [4] and cost.per_trial[large] > 1000 * cost.per_trial[small]


def test_models_that_differ_in_decays_are_counted_and_timed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Any] = []

    def count(model: Any, classes: int, shape: tuple[int, int, int]) -> int:
        counted.append(model)
        return parameter_count(model, classes, shape)

    monkeypatch.setattr("wsnet.sweep.planning.model_sizes.parameter_count", count)
    decays = {"model.norm.forward_decay": [0.9, 0.99], "model.norm.backward_decay": [0.9, 0.99, 0.999]}
    made = plan(tmp_path, cases=[{"model.norm.name": "online"}], grid={**decays, "model.width": [4, 8]})
    assert [model.width for model in counted] == [4, 8]
    small = made.trials[0].config.model
    sizes = {trial.config.model.width: made.sizes[trial.entry.setting_id].parameters for trial in made.trials}
    assert len(made.sizes) == 12 and sizes[4] == parameter_count(small, 10, (1, 8, 8)) < sizes[8]


def test_of_many_models_some_are_timed_and_the_others_estimated_by_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(tmp_path, cases=[{"model.norm.name": name} for name in ("batch", "none")], grid={"model.width": [4, 8]})
    timed: list[Any] = []
    monkeypatch.setattr("wsnet.sweep.planning.stopwatch._BUDGET", -1.0)
    for besides in ("TRIAL", "EPOCH"):
        monkeypatch.setattr(f"wsnet.sweep.planning.estimate.{besides}", 0.0)
    monkeypatch.setattr(
        "wsnet.sweep.planning.stopwatch._line", lambda config, device: timed.append(config.model) or (0.0, 0.1)
    )
    cost = estimate(made, threads=1, gpus=0, is_timed=True)
    assert [(model.norm.name, model.width) for model in timed] == [("batch", 4), ("none", 4)]
    (seconds, size), (more, larger) = (
        (cost.per_trial[trial.entry.setting_id], made.sizes[trial.entry.setting_id]) for trial in made.trials[:2]
    )
    assert more / seconds == pytest.approx(larger.multiply_accumulates / size.multiply_accumulates)


def test_an_estimate_times_one_small_network_whatever_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[Any] = []

    def seconds(model: Any, images: torch.Tensor, *_: Any) -> float:
        timed.append(sum(parameter.numel() for parameter in model.parameters()))
        return 0.01 + 0.002 * len(images)

    monkeypatch.setattr("wsnet.sweep.planning.reference.step_seconds", seconds)
    made = plan(tmp_path, cases=[{"model.norm.name": name} for name in ("batch", "none")], grid={"model.width": [4, 8]})
    cost = estimate(made, threads=1, gpus=0)
    assert set(timed) == {reference._SIZE.parameters} and len(timed) == 4
    narrow, wide, _, plain = (cost.per_trial[trial.entry.setting_id] for trial in made.trials)
    assert 0 < narrow < wide and plain < wide  # More multiply-accumulates; fewer operations.


def test_the_counts_of_the_small_network_are_its_counts() -> None:
    counts = count_model(reference._MODEL, reference._CLASSES, reference._SHAPE)
    size = reference._SIZE
    assert (counts.multiply_accumulates, counts.activation_bytes, counts.operations) == (
        size.multiply_accumulates,
        size.activation_bytes,
        size.operations,
    )
    assert parameter_count(reference._MODEL, reference._CLASSES, reference._SHAPE) == size.parameters
