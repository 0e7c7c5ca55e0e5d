"""What a trial is evaluated with: the statistics that training left, or those of many images."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.trials import config, last, numbers, trained, trial
from wsnet.config.trial import TrialConfig
from wsnet.layers import recompute_statistics
from wsnet.training import Trial, TrialError
from wsnet.training.loop import Training

RECOMPUTED = {"name": "recomputed", "images": 60, "micro_batch_size": 20}


def of(norm: str = "batch", **train: Any) -> Trial:
    options = {"epochs": 2, "evaluation_statistics": RECOMPUTED} | train
    return trial(train=options, model={"norm": {"name": norm}})


@pytest.mark.slow
def test_training_is_the_same_to_the_bit_and_evaluation_is_not(tmp_path: Path) -> None:
    running = numbers(trained(trial(train={"epochs": 2}), tmp_path / "running").records)
    recomputed = numbers(trained(of(), tmp_path / "recomputed").records)
    for one, other in zip(running, recomputed, strict=True):
        assert one["train/loss"] == other["train/loss"]
        assert one["test/loss"] != other["test/loss"]
    one, other = last(tmp_path / "running"), last(tmp_path / "recomputed")
    assert all(torch.equal(value, other.model[name]) for name, value in one.model.items())


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "sync_batch", "batch_renorm", "online"])
def test_the_recorded_errors_are_those_of_the_first_images_of_the_epoch(tmp_path: Path, norm: str) -> None:
    record = trained(of(norm), tmp_path).records[-1]
    training = Training(of(norm, evaluation_statistics={"name": "running"}), last(tmp_path))
    epoch = torch.cat([batch.images for batch in training.batches.epoch(2)])
    recompute_statistics(training.model, epoch[:60].split(20))
    assert training.evaluation.measure(training.epoch)["test"].loss == pytest.approx(record["test/loss"], rel=1e-6)


def test_statistics_of_more_images_than_there_are_take_all_whole_micro_batches(tmp_path: Path) -> None:
    few = {"name": "recomputed", "images": 10_000, "micro_batch_size": 64}
    record = trained(of(evaluation_statistics=few), tmp_path).records[-1]
    training = Training(of(evaluation_statistics={"name": "running"}), last(tmp_path))
    epoch = torch.cat([batch.images for batch in training.batches.epoch(2)])
    whole = len(epoch) - len(epoch) % 64
    recompute_statistics(training.model, epoch[:whole].split(64))
    assert training.evaluation.measure(training.epoch)["test"].loss == pytest.approx(record["test/loss"], rel=1e-6)


@pytest.mark.slow
def test_batch_norm_at_batch_size_1_is_evaluated_far_better_with_recomputed_statistics(tmp_path: Path) -> None:
    adam = {"name": "adam", "lr": 0.003, "schedule": {"name": "cosine"}}
    data = {"name": "digits", "validation": 300, "limit": None}

    def batch_size_1(name: str) -> Trial:
        train = {"epochs": 1, "batch_size": 1, "evaluation_statistics": {"name": name}}
        whole = config(train=train, data=data, model={"width": 8}).model_dump() | {"optim": adam}
        return Trial.prepare(TrialConfig.model_validate(whole))

    # The way of evaluation changes no bit of the training (see above), so that one training does for both.
    running = trained(batch_size_1("running"), tmp_path).records[-1]["test/top1_error"]
    training = Training(batch_size_1("recomputed"), last(tmp_path))
    assert training.evaluation.measure(training.epoch)["test"].top1_error < running - 3


@pytest.mark.slow
def test_a_resumed_trial_has_the_same_records(tmp_path: Path) -> None:
    def stop(record: dict[str, float]) -> None:
        raise KeyboardInterrupt

    whole = trained(of(ema={"decay": 0.5}), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(of(ema={"decay": 0.5}), tmp_path / "parts", report=stop)
    assert numbers(trained(of(ema={"decay": 0.5}), tmp_path / "parts").records) == numbers(whole.records)


def test_the_way_of_evaluation_is_part_of_the_identity_and_its_default_is_not() -> None:
    ids = {of(evaluation_statistics=statistics).setting_id for statistics in (RECOMPUTED, {"name": "recomputed"})}
    plain = trial(train={"epochs": 2}, model={"norm": {"name": "batch"}}).setting_id
    assert len(ids | {plain}) == 3
    assert of(evaluation_statistics={"name": "running"}).setting_id == plain


@pytest.mark.parametrize("norm", ["group", "layer", "none"])
def test_recomputed_statistics_of_a_norm_without_any_are_a_mistake(norm: str) -> None:
    with pytest.raises(ValueError, match=f"'recomputed' has no effect with norm '{norm}', which keeps no running stat"):
        config(train={"evaluation_statistics": RECOMPUTED}, model={"width": 32, "norm": {"name": norm}})


def test_a_network_without_such_layers_is_refused_before_the_first_step(tmp_path: Path) -> None:
    own = Path(__file__).parents[1] / "own_norms.py"
    norm = {"name": f"{own}:PowerNorm"}
    with pytest.raises(TrialError, match="needs layers with running statistics"):
        trained(trial(train={"evaluation_statistics": RECOMPUTED}, model={"norm": norm}), tmp_path)
