"""Checkpoints in the middle of an epoch."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.trials import all_trained, assert_same, assert_same_checkpoint, last, numbers, trained, trial
from wsnet.storage import Folder, TrialDirectory
from wsnet.training import Checkpoint
from wsnet.training.checkpoint import CheckpointError

# 100 images in batches of 8: 13 steps, the last with 4 images; saved after 5 and 10.
TRAIN = {"epochs": 2, "batch_size": 8, "checkpoint_steps": 5}
CASES: dict[str, dict[str, Any]] = {
    "batch": {},
    "online": {"model": {"norm": {"name": "online"}}, "train": {**TRAIN, "ema": {"decay": 0.9}, "diagnostics": True}},
    "mixed": {"data": {"limit": 100, "augment": {"flip": True, "mixup": {}, "cutout": {"size": 2}}}},
    "worker": {"data": {"limit": 100, "workers": 1}},
}


class Killed(Exception):
    """Raised in the middle of an epoch."""


def of(name: str, **sections: Any) -> Any:
    return trial(**{"data": {"limit": 100}, "train": TRAIN, **CASES[name], **sections})


def trained_until(of: Any, folder: Path, epoch: int, step: int) -> None:
    def watch(at_epoch: int, at_step: int, *rest: Any) -> None:
        if (at_epoch, at_step) == (epoch, step):
            raise Killed

    with pytest.raises(Killed):
        trained(of, folder, watch=watch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the trial of each case, trained without a stop."""
    return all_trained({name: of(name) for name in CASES}, tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_trial_goes_on_from_the_middle_of_an_epoch_to_the_last_bit(
    whole: Path, tmp_path: Path, name: str, epoch: int
) -> None:
    trained_until(of(name), tmp_path / "parts", epoch, 11)
    steps = []
    parts = trained(of(name), tmp_path / "parts", watch=lambda epoch, step, *rest: steps.append((epoch, step)))
    assert steps[0] == (epoch, 10)  # What was done is not done again.
    assert numbers(parts.records) == numbers(last(whole / name).records)
    assert_same_checkpoint(last(tmp_path / "parts"), last(whole / name))
    assert_same(last(tmp_path / "parts").ema, last(whole / name).ema)
    assert not (tmp_path / "parts" / "step.pt").exists()


@pytest.mark.slow
def test_saving_changes_no_bit_and_no_identity(whole: Path, tmp_path: Path) -> None:
    saved, plain = of("batch"), of("batch", train={**TRAIN, "checkpoint_steps": None})
    assert saved.trial_id == plain.trial_id
    assert numbers(last(whole / "batch").records) == numbers(trained(plain, tmp_path).records)


@pytest.mark.slow
def test_a_divergence_is_noticed_at_the_same_step(tmp_path: Path) -> None:
    options = {"optim": {"lr": 1e30}, "train": {"epochs": 1, "batch_size": 1, "checkpoint_steps": 10}}
    whole = trained(of("batch", **options), tmp_path / "whole")
    trained_until(of("batch", **options), tmp_path / "parts", 1, 38)
    steps: list[int] = []
    parts = trained(of("batch", **options), tmp_path / "parts", watch=lambda epoch, step, *rest: steps.append(step))
    assert whole.status == parts.status and whole.status.status == "diverged"
    assert (steps[0], steps[-1]) == (30, 49)


def test_an_older_middle_and_one_of_other_workers_are_left_alone(tmp_path: Path) -> None:
    folder = TrialDirectory(Folder(tmp_path / "trial"))
    trained_until(of("batch"), tmp_path / "trial", 2, 7)
    middle = Checkpoint.latest(folder, 1)
    assert middle is not None and (middle.epoch, middle.step) == (1, 5) and len(middle.records) == 1
    assert Checkpoint.latest(folder, 2).step == 0  # type: ignore[union-attr]
    stale = (tmp_path / "trial" / "step.pt").read_bytes()
    trained(of("batch"), tmp_path / "trial")
    (tmp_path / "trial" / "step.pt").write_bytes(stale)
    assert Checkpoint.latest(folder, 1).epoch == 2  # type: ignore[union-attr]


def test_the_file_has_the_format_that_earlier_versions_read_and_wrote(tmp_path: Path) -> None:
    trained_until(of("online"), tmp_path, 2, 11)
    saved = torch.load(tmp_path / "step.pt", weights_only=True)
    names = {"trial_id", "epoch", "model", "optimizer", "records", "streams", "ema", "step", "workers"}
    assert saved.keys() == names | {"format"} and (saved["format"], saved["epoch"], saved["step"]) == (1, 1, 10)
    parameters = saved["ema"].keys()
    assert parameters < saved["model"].keys() and saved["streams"] == []
    assert [*saved["optimizer"]] == [*range(len(parameters))] and saved["optimizer"][0].keys() == {"momentum_buffer"}
    (own,) = saved["workers"]
    assert own.keys() == {"buffers", "meter", "seconds"} and own["seconds"] > 0
    assert saved["model"].keys() - parameters <= own["buffers"].keys()
    assert own["meter"].keys() == {"counts", "loss_sums", "steps", "window", "bad"}


def test_no_other_trial_begins_from_the_middle_of_an_epoch(tmp_path: Path) -> None:
    trained_until(of("batch"), tmp_path / "one", 1, 7)
    middle = Checkpoint.load(tmp_path / "one" / "step.pt")
    with pytest.raises(CheckpointError, match="must be of a whole epoch, but got one at step 5"):
        trained(of("batch"), tmp_path / "other", start=middle)
