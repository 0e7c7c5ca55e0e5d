"""The average of the weights against torch's own, and how a trial reports it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.training.trials import config, last, numbers, trained, trial
from wsnet.config.trial import EMAConfig
from wsnet.training import Trial
from wsnet.training.loop import Training
from wsnet.training.weight_average import WeightAverage


def move(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)


def test_the_average_is_torchs() -> None:
    model = nn.Linear(3, 2)
    ours = WeightAverage(model, EMAConfig(decay=0.9))
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.n_averaged += 1  # It too begins with the initial weights, and not with those after the first step.
    for step in range(5):
        move(model, step)
        ours.update(step)
        theirs.update_parameters(model)
    expected = dict(theirs.module.named_parameters())
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(average, expected[name]) for name, average in ours.state_dict().items())


def test_a_warm_up_forgets_the_first_weights_faster() -> None:
    model = nn.Linear(1, 1, bias=False)
    average, expected = WeightAverage(model, EMAConfig(decay=0.15, warmup=True)), model.weight.item()
    for step, decay in enumerate((1 / 10, 0.15, 0.15)):
        move(model, step)
        average.update(step)
        expected = decay * expected + (1 - decay) * model.weight.item()
    assert average.state_dict()["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_the_weights_come_back_to_the_bit_after_the_average_was_lent() -> None:
    model = nn.Linear(3, 2)
    average = WeightAverage(model, EMAConfig(decay=0.5))
    move(model, 0)
    before = model.weight.detach().clone()
    with pytest.raises(KeyError), average.in_model():
        assert torch.equal(model.weight, average.state_dict()["weight"]) and not torch.equal(model.weight, before)
        raise KeyError
    assert torch.equal(model.weight, before)


def test_the_average_is_measured_beside_the_weights_and_changes_nothing_of_them(tmp_path: Path) -> None:
    plain = numbers(trained(trial(), tmp_path / "plain").records)
    records = numbers(trained(trial(train={"ema": {"decay": 0.8}}), tmp_path / "averaged").records)
    assert [{k: v for k, v in record.items() if "_ema/" not in k} for record in records] == plain
    names = {f"{split}_ema/{what}" for split in ("validation", "test") for what in ("loss", "top1_error", "top5_error")}
    assert records[0].keys() - plain[0].keys() == names
    assert records[-1]["test_ema/loss"] != records[-1]["test/loss"]
    assert last(tmp_path / "plain").ema == {}


@pytest.mark.parametrize("norm", [{"name": "batch"}, {"name": "online"}, {"name": "batch_renorm"}])
def test_an_average_that_forgets_everything_is_the_weights(tmp_path: Path, norm: dict[str, str]) -> None:
    train = {"epochs": 1, "ema": {"decay": 0.0}, "evaluation_statistics": {"name": "recomputed"}}
    record = trained(trial(train=train, model={"norm": norm}), tmp_path).records[-1]
    assert record["test_ema/loss"] == record["test/loss"]
    plain = trained(
        trial(train={**train, "evaluation_statistics": {"name": "running"}}, model={"norm": norm}), tmp_path / "2"
    )
    assert plain.records[-1]["test_ema/loss"] == record["test_ema/loss"], (
        "the average's statistics are recomputed anyway"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "norm", [{"name": "batch"}, {"name": "online", "forward_decay": 0.999}, {"name": "batch_renorm", "momentum": 0.1}]
)
def test_the_average_of_a_model_that_no_longer_moves_evaluates_as_that_model(
    tmp_path: Path, norm: dict[str, Any]
) -> None:
    """After three epochs two more at a learning rate of nothing: the weights stand, running statistics settle."""
    optim = {"schedule": {"name": "multistep", "milestones": [3], "gamma": 1e-30}}
    of = trial(
        data={"limit": None},
        train={"epochs": 5, "batch_size": 32, "ema": {"decay": 0.1}},
        optim=optim,
        model={"norm": norm},
    )
    record = trained(of, tmp_path).records[-1]
    assert record["train/loss"] < 1.8, "it has learned something"
    assert record["test_ema/loss"] == pytest.approx(record["test/loss"], rel=0.05)
    assert record["test_ema/top1_error"] == pytest.approx(record["test/top1_error"], abs=4)


def test_what_the_records_say_of_the_average_is_true_of_the_checkpoints(tmp_path: Path) -> None:
    of = config(train={"epochs": 2, "ema": {"decay": 0.8}}, model={"norm": {"name": "online"}})
    record = trained(Trial.prepare(of), tmp_path).records[-1]
    training = Training(Trial.prepare(of), last(tmp_path))
    measured = training.evaluation.measure(training.epoch, training.average)
    assert measured["test"].named("test").items() <= record.items()
    assert measured["test_ema"].named("test_ema").items() <= record.items()
