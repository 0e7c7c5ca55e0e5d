"""What the layers do, measured in one step of each epoch, and nothing else changed by it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.trials import assert_same, config, last, numbers, trained, trial
from wsnet.config import TrialConfig
from wsnet.data import Batch
from wsnet.storage.trial_directory import Record
from wsnet.training import Trial
from wsnet.training.diagnostics import Diagnostics
from wsnet.training.loop import Training
from wsnet.training.meter import Meter

NORMS: list[dict[str, Any]] = [
    {"name": "batch"},
    {"name": "ghost_batch", "ghost_size": 8},
    {"name": "batch_renorm"},
    {"name": "group", "groups": 2},
    {"name": "layer"},
    {"name": "evonorm_s0", "groups": 2},
    {"name": "online"},
    {"name": "none"},
]
ON = {"train": {"epochs": 2, "batch_size": 32, "diagnostics": True}}
OFF = {"train": {"epochs": 2, "batch_size": 32}}


def names(record: Record) -> set[str]:
    """Quantities that a record has of a norm."""
    return {key.rpartition("/")[2] for key in record if key.startswith("layers/layer1.0.bn1/")}


def without_layers(records: list[Record]) -> list[Record]:
    """What must not depend on the diagnostics."""
    return [{key: value for key, value in record.items() if "layers/" not in key} for record in numbers(records)]


def assert_unchanged(on: Path, off: Path) -> None:
    """Two trials differ in the layers' measurements only."""
    one, other = last(on), last(off)
    assert one.trial_id == other.trial_id
    assert_same(one.model, other.model)
    assert_same(one.optimizer, other.optimizer)
    assert without_layers(one.records) == numbers(other.records)
    assert all(any(key.startswith("layers/") for key in record) for record in one.records)


def step_of(training: Training) -> Batch:
    """The first images of the first epoch."""
    return next(iter(training.batches.epoch(1)))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a trial with each norm, trained with diagnostics."""
    folder = tmp_path_factory.mktemp("measured")
    for norm in NORMS:
        trained(trial(model={"norm": norm}, **ON), folder / norm["name"])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: norm["name"])
def test_not_a_bit_of_the_numbers_changes(measured: Path, tmp_path: Path, norm: dict[str, Any]) -> None:
    trained(trial(model={"norm": norm}, **OFF), tmp_path)
    assert_unchanged(measured / norm["name"], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_not_a_bit_changes_in_a_compiled_model_and_it_is_compiled_once(
    tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = {"execution": {"compile": True}}
    if precision == "bfloat16":  # Traced as the other is, but without half a minute of a C++ compiler.
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    with torch._dynamo.config.patch(error_on_recompile=True):
        for name, sections in (("on", ON), ("off", OFF)):
            torch._dynamo.reset()
            train = {**sections["train"], "precision": precision, "drop_last": True}
            trained(trial(**{**sections, **compiled, "train": train}), tmp_path / name)
    assert_unchanged(tmp_path / "on", tmp_path / "off")
    trained(trial(train={**ON["train"], "precision": precision, "drop_last": True}), tmp_path / "eager")
    key = "layers/layer2.0.bn1/activation_variance"
    assert last(tmp_path / "on").records[0][key] == pytest.approx(last(tmp_path / "eager").records[0][key], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"batch_size": 200}, {"steps_per_epoch": 1}])
def test_any_way_of_training_is_measured(tmp_path: Path, options: dict[str, Any]) -> None:
    for name, sections in (("on", ON), ("off", OFF)):
        of = trial(train={**sections["train"], **options}, execution={"memory_format": "contiguous"})
        trained(of, tmp_path / name)
    assert_unchanged(tmp_path / "on", tmp_path / "off")


@pytest.mark.slow
def test_each_norm_has_the_quantities_that_apply_to_it(measured: Path) -> None:
    found = {}
    for norm in NORMS:
        record = last(measured / norm["name"]).records[0]
        found[norm["name"]] = names(record)
        assert record["layers/layer1.0.conv1/gradient_norm"] > 0
        assert record["layers/fc/effective_lr"] > 0
    activations = {"activation_mean", "activation_variance"}
    outputs = {"output_mean", "output_variance"}
    drift = {"running_mean_drift", "running_variance_drift"}
    with_running = ("batch", "ghost_batch", "batch_renorm", "online")
    assert all(found[name] == activations | outputs | drift for name in with_running)
    assert all(found[name] == activations | outputs for name in ("group", "layer", "evonorm_s0"))
    assert found["none"] == activations


def test_the_figures_are_those_of_their_definitions() -> None:
    training = Training(trial(**ON))
    model, batch = training.model, step_of(training)
    seen: dict[str, torch.Tensor] = {}
    norm, conv = model.get_submodule("layer1.0.bn2"), model.get_submodule("layer1.0.conv2")
    running_mean, running_var = norm.running_mean.double().clone(), norm.running_var.double().clone()
    weight = conv.weight.detach().double().clone()

    def keep(_: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        seen.update(x=inputs[0].detach().double().clone(), y=output.detach().double().clone())

    handle = norm.register_forward_hook(keep)
    assert training.diagnostics is not None
    with training.diagnostics.measuring():
        training.train_step(0, batch, Meter(training.device))
    handle.remove()
    record = training.diagnostics.read()
    mean, var = seen["x"].mean((0, 2, 3)), seen["x"].var((0, 2, 3), correction=0)
    mean_out, var_out = seen["y"].mean((0, 2, 3)), seen["y"].var((0, 2, 3), correction=0)
    expected = {
        "bn2/activation_mean": mean.square().mean().sqrt(),
        "bn2/activation_variance": var.mean(),
        "bn2/output_mean": mean_out.square().mean().sqrt(),
        "bn2/output_variance": var_out.mean(),
        "bn2/running_mean_drift": ((running_mean - mean).abs() / (var + 1e-5).sqrt()).mean(),
        "bn2/running_variance_drift": ((running_var - var).abs() / (var + 1e-5)).mean(),
        "conv2/gradient_norm": conv.weight.grad.double().norm(),
        "conv2/effective_lr": 0.1 / weight.square().sum((1, 2, 3)).mean(),
    }
    for key, value in expected.items():
        assert record[f"layers/layer1.0.{key}"] == pytest.approx(float(value), rel=1e-4, abs=1e-6), key


def test_adams_effective_learning_rate_goes_with_the_norm_itself() -> None:
    adam = {"name": "adam", "lr": 0.01, "momentum": ..., "weight_decay": 0.0, "schedule": {"name": "constant"}}
    of = config(**ON).model_dump(mode="json")
    of["optim"] = {key: value for key, value in adam.items() if value is not ...}
    training = Training(Trial.prepare(type(config()).model_validate(of)))
    weight = training.model.fc.weight.detach().clone()
    assert training.diagnostics is not None
    with training.diagnostics.measuring():
        training.train_step(0, step_of(training), Meter(training.device))
    expected = 0.01 / weight.square().sum(1).mean().sqrt()
    assert training.diagnostics.read()["layers/fc/effective_lr"] == pytest.approx(float(expected), rel=1e-4)


def test_several_passes_in_a_step_count_as_one_batch() -> None:
    training = Training(trial(model={"norm": {"name": "group", "groups": 2}}, **ON))
    model, images = training.model, step_of(training).images
    found = []
    for parts in (1, 4):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        diagnostics = Diagnostics(model, optimizer)
        with diagnostics.measuring():
            optimizer.zero_grad()
            for part in images.chunk(parts):
                (model(part).square().sum() / len(images)).backward()
            diagnostics.look_at_gradients()
            optimizer.step()
        found.append(diagnostics.read())
    assert found[0] and found[1] == pytest.approx(found[0], rel=1e-3, abs=1e-6)


def test_an_eager_look_in_mixed_precision_leaves_the_step_its_gradients() -> None:
    training = Training(trial(**ON))
    model, batch = training.model, step_of(training)
    found = []
    for compiled in (False, True):
        diagnostics = Diagnostics(model, training.optimizer.base, compiled=compiled)
        training.optimizer.zero_grad()
        with diagnostics.measuring():
            with torch.autocast("cpu", torch.bfloat16):
                logits = diagnostics.around(model)(batch.images)
            logits.float().square().mean().backward()
            assert all(parameter.grad is not None for parameter in model.parameters())
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.grad.zero_()
            diagnostics.look_at_gradients()
            training.optimizer.step()
        found.append(diagnostics.read()["layers/layer2.0.bn1/activation_variance"])
    assert found[0] == pytest.approx(found[1], rel=0.01)


def test_nothing_is_left_behind_between_measurements() -> None:
    training = Training(trial(**ON))
    training.train_epoch()
    assert not any(module._forward_hooks for module in training.model.modules())
    assert not training.optimizer.base._optimizer_step_pre_hooks
    assert "layers" not in "".join(Training(trial(**OFF)).train_epoch())


def test_a_last_batch_that_is_smaller_is_not_the_one_measured() -> None:
    training = Training(trial(**ON))  # 200 images: six batches of 32, one of 8
    steps = training.epoch_steps.count
    measured = [step for step in range(steps) if training._measuring(step).__class__.__name__ != "nullcontext"]
    assert (steps, measured) == (7, [5])


def test_a_diverged_layer_is_written_down(tmp_path: Path) -> None:
    of = trial(model={"norm": {"name": "none"}}, optim={"lr": 1e30}, **ON)
    assert trained(of, tmp_path).status.status == "diverged"
    line = json.loads((tmp_path / "records.jsonl").read_text().splitlines()[-1])
    assert line["layers/layer3.0.bn1/activation_variance"] is None


def test_a_trial_stopped_half_way_has_the_same_layers(measured: Path, tmp_path: Path) -> None:
    def stop(record: Record) -> None:
        raise KeyboardInterrupt

    of = trial(model={"norm": NORMS[0]}, **ON)
    with pytest.raises(KeyboardInterrupt):
        trained(of, tmp_path, report=stop)
    trained(of, tmp_path)
    assert numbers(last(tmp_path).records) == numbers(last(measured / NORMS[0]["name"]).records)


def test_an_epoch_that_ends_early_has_no_measures(tmp_path: Path) -> None:
    sections = {"optim": {"lr": 1e30}, "train": {"epochs": 2, "batch_size": 1, "diagnostics": True}}
    result = trained(Trial.prepare(config(**sections)), tmp_path)
    assert result.status.status == "diverged"
    assert not any(key.startswith("layers/") for key in result.records[-1])


@pytest.mark.slow
def test_gradients_are_measured_before_they_are_clipped(tmp_path: Path) -> None:
    def norm(name: str, **optim: Any) -> float:
        trial = Trial.prepare(config(optim=optim, train={"epochs": 1, "diagnostics": True, "steps_per_epoch": 1}))
        return trained(trial, tmp_path / name).records[-1]["layers/conv1/gradient_norm"]

    assert norm("clipped", clip_grad_norm=1e-6) == norm("plain") > 1e-3


def test_lars_has_no_effective_learning_rate(tmp_path: Path) -> None:
    data = config(train={"epochs": 1, "diagnostics": True}).model_dump(mode="json")
    trial = Trial.prepare(TrialConfig.model_validate({**data, "optim": {"name": "lars", "lr": 1.0}}))
    keys = trained(trial, tmp_path).records[-1].keys()
    assert "layers/conv1/gradient_norm" in keys and "layers/conv1/effective_lr" not in keys
