"""However often a trial is killed, and wherever: run again, it ends with the same bits."""

import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.dying import Died, DyingFolder
from tests.training.trials import (
    assert_done,
    assert_same_checkpoint,
    config,
    last,
    numbers,
    spec,
    start_child,
    trained,
    trial,
)
from wsnet.storage import Folder, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training import Trial, fit


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["best", "none"])
def test_a_crash_at_any_write_changes_nothing(tmp_path: Path, keep: str) -> None:
    train = {"epochs": 2, "steps_per_epoch": 2, "keep": keep}
    straight = trained(trial(train=train), tmp_path / "straight")
    of, writes, result = trial(train=train), 0, None
    while result is None:
        folder = tmp_path / f"dies_at_{writes}"
        try:
            result = trained(of, DyingFolder(folder, [writes]))
        except Died:
            again = trained(of, folder)
            assert numbers(again.records) == numbers(straight.records)
            assert numbers(TrialDirectory(Folder(folder)).records()) == numbers(straight.records)
            assert again.status == straight.status
            assert len((folder / "log.tsv").read_text().splitlines()) == 3
            if keep == "best":
                assert_same_checkpoint(last(folder), last(tmp_path / "straight"))
                assert_same_checkpoint(last(folder, "best.pt"), last(tmp_path / "straight", "best.pt"))
        writes += 1
    assert writes > 12


@pytest.mark.slow
def test_a_trial_killed_again_and_again_is_the_trial_run_straight_through(tmp_path: Path) -> None:
    of = config(train={"epochs": 6})
    draw = random.Random(os.getpid())
    killed = 0
    for kill in range(3):
        child = start_child(spec(of, tmp_path / "killed", pause=0.01))
        deadline = time.monotonic() + 60
        while not _has_epochs(tmp_path / "killed", 1 + kill) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.1))
        killed += child.kill() == -signal.SIGKILL
    other_threads = of.model_copy(update={"execution": of.execution.model_copy(update={"threads": 2})})
    end = trained(Trial.prepare(other_threads), tmp_path / "killed")
    straight = trained(Trial.prepare(of), tmp_path / "straight")
    assert killed == 3
    assert numbers(end.records) == numbers(straight.records)
    assert_same_checkpoint(last(tmp_path / "killed"), last(tmp_path / "straight"))
    assert json.loads((tmp_path / "killed" / "execution.json").read_text())["threads"] == 1


def _has_epochs(folder: Path, epochs: int) -> bool:
    records = folder / "records.jsonl"
    return records.exists() and records.read_text().count("\n") >= epochs


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"optim": {"momentum": 0.0}},
        {"optim": {"nesterov": True, "schedule": {"name": "cosine", "warmup_epochs": 1.5}}},
        {"execution": {"memory_format": "contiguous"}},
        {"train": {"epochs": 3, "batch_size": 32, "precision": "bfloat16"}},
        {"data": {"workers": 1}},
        {"optim": {"clip_grad_norm": 0.5, "weight_decay_on": "weights"}, "train": {"ema": {"decay": 0.9}}},
        {"optim": {"scale_with_batch": {"rule": "momentum", "base": 128}, "schedule": {"name": "one_cycle"}}},
        {"optim": {"name": "lars", "lr": 4.0}, "train": {"ema": {"decay": 0.99, "warmup": True}}},
    ],
)
def test_a_trial_stopped_after_an_epoch_goes_on_exactly(tmp_path: Path, options: dict[str, Any]) -> None:
    straight = trained(trial(**options), tmp_path / "straight")

    def stop(record: dict[str, float]) -> None:
        if record["epoch"] == 1:
            raise Died

    with pytest.raises(Died):
        trained(trial(**options), tmp_path / "stopped", report=stop)
    elsewhere = {**options, "execution": {**options.get("execution", {}), "threads": 2}}
    before = torch.get_num_threads()
    again = trained(trial(**elsewhere), tmp_path / "stopped")
    assert torch.get_num_threads() == before
    assert numbers(again.records) == numbers(straight.records)
    assert_same_checkpoint(last(tmp_path / "stopped"), last(tmp_path / "straight"))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_goes_on_exactly(tmp_path: Path, name: str) -> None:
    of = config().model_dump(mode="json")
    of["optim"] = {"name": name, "lr": 0.01, "weight_decay": 0.1, "weight_decay_on": "weights"}
    adam = Trial.prepare(type(config()).model_validate(of))
    trained(adam, tmp_path / "straight")
    with pytest.raises(Died):
        trained(adam, tmp_path / "stopped", report=_die)
    trained(adam, tmp_path / "stopped")
    assert_same_checkpoint(last(tmp_path / "stopped"), last(tmp_path / "straight"))


def _die(record: dict[str, float]) -> None:
    raise Died


def test_tensorboard_has_every_step_once_after_a_crash(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    of = trial(train={"tensorboard": True})

    class DiesWithTheSecondCheckpoint(Folder):
        def write(self, name: str, data: bytes) -> None:
            if name == "last.pt" and self.exists("previous.pt"):
                raise Died
            super().write(name, data)

    with pytest.raises(Died):
        trained(of, DiesWithTheSecondCheckpoint(tmp_path))
    records = trained(of, tmp_path).records
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    for tag in ("train/loss", "validation/top1_error", "lr"):
        scalars = events.Scalars(tag)
        assert [scalar.step for scalar in scalars] == [1, 2, 3]
        assert [scalar.value for scalar in scalars] == pytest.approx([record[tag] for record in records], rel=1e-6)
    assert not [thread for thread in threading.enumerate() if "event" in type(thread).__name__.lower()]


@pytest.mark.slow
def test_two_processes_with_one_directory_train_it_once(tmp_path: Path) -> None:
    of = spec(config(), tmp_path / "trial", pause=0.01)
    children = [start_child({**of, "reports": str(tmp_path / f"{name}.json")}) for name in "ab"]
    assert_done(*children)
    reported = [[r["epoch"] for r in json.loads((tmp_path / f"{name}.json").read_text())] for name in "ab"]
    assert sorted(reported) == [[], [1, 2, 3]]
    straight = trained(trial(), tmp_path / "straight")
    assert numbers(TrialDirectory(Folder(tmp_path / "trial")).records()) == numbers(straight.records)


def test_where_a_trial_goes_on_its_last_epoch_is_told_again_before_anything_is_trained(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []

    def run(stop_after: int) -> None:
        def report(record: Record) -> None:
            told.append(("report", record["epoch"]))
            if record["epoch"] == stop_after:
                raise KeyboardInterrupt

        fit(
            trial(train={"epochs": 3}),
            report=report,
            checkpoint_dir=Folder(tmp_path),
            on_resume=lambda record: told.append(("resumed", record["epoch"])),
        )

    with pytest.raises(KeyboardInterrupt):
        run(stop_after=2)
    for _ in range(2):  # A trial that is done tells nothing.
        run(stop_after=0)
    assert told == [("report", 1), ("report", 2), ("resumed", 2), ("report", 3)]
