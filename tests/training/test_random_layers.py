"""Dropout and shake-shake in training: the same numbers after a resume, in micro-batches, with checkpointing.

For several workers see test_distributed.py.
"""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.trials import all_trained, assert_same_checkpoint, config, last, numbers, trained, trial
from wsnet.config import TrialConfig
from wsnet.training import Trial
from wsnet.training.loop import Training

NETS: dict[str, dict[str, Any]] = {
    "wrn": {"name": "wrn", "depth": 10, "widening": 1, "dropout": 0.3},
    "densenet": {"name": "cifar_densenet", "depth": 10, "growth_rate": 4, "dropout": 0.2},
    "shake_shake": {"name": "shake_shake", "depth": 8, "width": 4},
}


def prepared(name: str, **more: Any) -> Trial:
    return Trial.prepare(settings(name, **more))


def settings(name: str, **more: Any) -> TrialConfig:
    """The small trial, of another net."""
    data = config(data={"limit": 100}, train={"epochs": 2, "batch_size": 33}).model_dump()
    return TrialConfig.model_validate({**data, "model": {**NETS[name], **more}})


class Stop(Exception):
    """Stands for a crash after an epoch."""


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the trial of each net, trained without a stop."""
    return all_trained({name: prepared(name) for name in NETS}, tmp_path_factory.mktemp("straight"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_a_resumed_trial_ends_with_the_same_bits(straight: Path, tmp_path: Path, name: str) -> None:
    of = prepared(name)

    def stop(record: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        trained(of, tmp_path / "stopped", report=stop)
    resumed = trained(of, tmp_path / "stopped")
    assert numbers(last(straight / name).records) == numbers(resumed.records)
    assert_same_checkpoint(last(straight / name), last(tmp_path / "stopped"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_checkpointing_changes_neither_identity_nor_numbers(straight: Path, tmp_path: Path, name: str) -> None:
    plain, again = prepared(name), prepared(name, checkpointing=True)
    assert plain.trial_id == again.trial_id
    assert numbers(last(straight / name).records) == numbers(trained(again, tmp_path / "again").records)


def test_each_step_draws_other_numbers() -> None:
    training = Training(prepared("wrn"))
    dropout = next(layer for _, layer in training.randomness.layers)
    keys = []
    for step, batch in enumerate(training.batches.epoch(1)):
        training.train_step(step, batch, _Nobody())  # type: ignore[arg-type]
        keys.append(int(dropout.key))
    assert len(set(keys)) == len(keys) > 2


class _Nobody:
    def add(self, *measured: Any) -> None:
        pass


def test_a_trial_begins_from_pretrained_weights_and_has_their_identity(tmp_path: Path) -> None:
    source = Training(trial()).model
    torch.save(source.state_dict(), tmp_path / "a.pth")
    torch.save({"state_dict": source.state_dict()}, tmp_path / "b.pth")
    begun = [trial(seed=7, model={"pretrained": str(tmp_path / name)}) for name in ("a.pth", "b.pth")]
    assert begun[0].warm_start == hashlib.sha256((tmp_path / "a.pth").read_bytes()).hexdigest()
    assert len({begun[0].trial_id, begun[1].trial_id, trial(seed=7).trial_id}) == 3
    for of in begun:
        for ours, theirs in zip(Training(of).model.state_dict().values(), source.state_dict().values(), strict=True):
            assert torch.equal(ours, theirs)
    resumed = trained(begun[0], tmp_path / "out")
    assert [record["epoch"] for record in resumed.records] == [1, 2, 3]


@pytest.mark.parametrize("name", ["wrn", "shake_shake"])
def test_micro_batches_draw_what_the_whole_batch_draws(tmp_path: Path, name: str) -> None:
    whole = settings(name, norm={"name": "group", "groups": 2}).model_dump()
    loop = TrialConfig.model_validate(
        {
            **whole,
            "train": {**whole["train"], "micro_batch_size": 11},
            "execution": {**whole["execution"], "micro_batches": "loop"},
        }
    )
    results = [
        numbers(trained(Trial.prepare(of), tmp_path / str(number)).records)
        for number, of in enumerate((TrialConfig.model_validate(whole), loop))
    ]
    for one, other in zip(*results, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
