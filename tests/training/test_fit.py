"""`fit`: what it writes, what it keeps, how it ends."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow import fs

from tests.training.trials import assert_same_checkpoint, config, last, numbers, trained, trial
from wsnet.config import read_trial
from wsnet.config.reading.yaml_lines import dump_yaml
from wsnet.storage import Folder, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training import CheckpointError, Trial, TrialError


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_trial_leaves_its_records_and_its_state(tmp_path: Path) -> None:
    reported: list[Record] = []
    result = trained(trial(), tmp_path, report=reported.append)
    directory = TrialDirectory(Folder(tmp_path))
    assert (result.status.status, result.status.epoch) == ("finished", 3)
    assert reported == result.records == directory.records() == last(tmp_path).records
    assert [record["epoch"] for record in reported] == [1, 2, 3]
    splits = {f"{s}/{m}" for s in ("train", "validation", "test") for m in ("loss", "top1_error", "top5_error")}
    assert set(reported[0]) == {"epoch", "lr", "time/epoch_seconds", "time/images_per_second"} | splits
    assert files(tmp_path) == {"trial.yaml", "execution.json", "records.jsonl", "status.json", "log.tsv", "last.pt"}
    assert result.records[-1]["train/loss"] < result.records[0]["train/loss"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the plain trial, trained to its end; to be read only."""
    folder = tmp_path_factory.mktemp("done")
    trained(trial(), folder)
    return folder


def test_the_configuration_is_written_as_yaml_would_write_it_whole(done: Path) -> None:
    _, *lines = (done / "trial.yaml").read_text().splitlines(keepends=True)
    settled = read_trial(str(done / "trial.yaml")).model_dump(mode="json")
    assert "".join(lines) == dump_yaml(settled) and lines[-1] == "seed: 0\n"


def test_two_runs_are_equal_to_the_last_bit_and_a_watch_changes_nothing(done: Path, tmp_path: Path) -> None:
    trained(trial(), tmp_path, watch=lambda epoch, step, waited, meter: meter.read(over_workers=False))
    assert_same_checkpoint(last(done), last(tmp_path))


def test_the_log_has_its_columns(done: Path) -> None:
    record = last(done).records[1]
    lines = [line.split("\t") for line in (done / "log.tsv").read_text().splitlines()]
    assert lines[0] == ["Epoch", "LR", "Train Loss", "Valid Loss", "Train Acc.", "Valid Acc."]
    shown = [record["lr"], record["train/loss"], record["validation/loss"]]
    shown += [100 - record["train/top1_error"], 100 - record["validation/top1_error"]]
    assert lines[2][0] == "2" and [float(text) for text in lines[2][1:]] == pytest.approx(shown, rel=1e-5)
    assert len(lines) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("last", {"last.pt"}),
        ("best", {"last.pt", "best.pt"}),
        ("all", {"last.pt", "best.pt", "epoch_0001.pt", "epoch_0002.pt", "epoch_0003.pt", "epoch_0004.pt"}),
        ("none", set()),
    ],
)
def test_the_checkpoints_asked_for_are_kept(tmp_path: Path, keep: str, kept: set[str]) -> None:
    records = trained(trial(train={"keep": keep, "epochs": 4}, optim={"lr": 0.6}), tmp_path).records
    assert {name for name in files(tmp_path) if name.endswith(".pt")} == kept
    if "best.pt" in kept:
        errors = [record["validation/top1_error"] for record in records]
        assert last(tmp_path, "best.pt").epoch == 1 + errors.index(min(errors))
    if keep == "all":
        assert [last(tmp_path, f"epoch_000{epoch}.pt").epoch for epoch in range(1, 5)] == [1, 2, 3, 4]


def test_a_finished_trial_returns_at_once(tmp_path: Path) -> None:
    before = trained(trial(), tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != ".lease"}
    reported: list[Record] = []
    again = trained(trial(), tmp_path, report=reported.append, watch=lambda *_: pytest.fail("a step was trained"))
    assert again == before and reported == []
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def test_the_status_is_final_before_the_last_report(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    seen = []

    def report(record: Record) -> None:
        status = TrialDirectory(Folder(tmp_path)).status()
        assert status is not None
        seen.append((status.status, "last.pt" in files(tmp_path)))
        if record["epoch"] == 3:
            raise Stop  # As Tune does to a trial that its scheduler stops.

    with pytest.raises(Stop):
        trained(trial(train={"keep": "none"}), tmp_path, report=report)
    assert seen == [("running", True), ("running", True), ("finished", False)]


def test_a_loss_that_explodes_is_a_result_and_no_exception(tmp_path: Path) -> None:
    diverging = trial(optim={"lr": 1e6}, model={"norm": {"name": "none"}}, train={"keep": "best"})
    result = trained(diverging, tmp_path)
    assert result.status.status == "diverged" and result.status.epoch == len(result.records) < 3
    assert "nan" in result.status.message and not math.isfinite(result.records[-1]["train/loss"])
    assert "best.pt" not in files(tmp_path)
    text = (tmp_path / "records.jsonl").read_text().splitlines()[-1]
    assert json.loads(text)["train/loss"] is None
    assert trained(diverging, tmp_path).status == result.status


def test_the_recorded_learning_rate_is_the_one_that_the_batch_size_gives(tmp_path: Path) -> None:
    optim = {"scale_with_batch": {"rule": "momentum", "base": 16}, "schedule": {"name": "constant"}}
    of = trial(optim=optim, train={"epochs": 1})
    assert trained(of, tmp_path).records[0]["lr"] == pytest.approx(0.1 * 2 * (1 - 0.81) / 0.1)
    by_hand = trial(optim={"lr": 0.38, "momentum": 0.81, "schedule": {"name": "constant"}}, train={"epochs": 1})
    found = trained(by_hand, tmp_path / "by_hand").records[0]["test/loss"]
    assert last(tmp_path).records[0]["test/loss"] == pytest.approx(found, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [2, 4])
def test_a_training_ends_soon_after_its_loss_explodes(tmp_path: Path, batch_size: int) -> None:
    of = trial(optim={"lr": 1e6}, model={"norm": {"name": "none"}}, train={"batch_size": batch_size})
    steps = []
    result = trained(of, tmp_path, watch=lambda epoch, step, *_: steps.append((epoch, step)))
    assert result.status.status == "diverged" and len(steps) == 50 and len(result.records) == 1
    assert "test/loss" in result.records[0] and not math.isfinite(result.records[0]["train/loss"])
    assert repr(numbers(trained(of, tmp_path / "again").records)) == repr(numbers(result.records))


@pytest.mark.slow
def test_looking_for_an_explosion_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = trial(train={"batch_size": 2, "epochs": 1})
    trained(of, tmp_path / "watched")
    monkeypatch.setattr("wsnet.training.meter._WINDOW", 10**9)
    trained(of, tmp_path / "unwatched")
    assert_same_checkpoint(last(tmp_path / "watched"), last(tmp_path / "unwatched"))


def test_a_loss_that_stays_high_ends_a_trial(tmp_path: Path) -> None:
    of = trial(train={"stop_above": {"loss": 0.01, "after": 2}})
    result = trained(of, tmp_path)
    assert result.status.status == "diverged" and len(result.records) == 2
    assert "in epoch 2, above train.stop_above.loss=0.01" in result.status.message
    (tmp_path / "status.json").unlink()
    again = trained(of, tmp_path, report=lambda record: pytest.fail("an epoch was trained"))
    assert again.status == result.status
    assert trained(trial(train={"stop_above": {"loss": 9.0}}), tmp_path / "low").status.status == "finished"


def test_a_killed_diverged_trial_ends_as_it_would_have(tmp_path: Path) -> None:
    diverging = trial(optim={"lr": 1e6}, model={"norm": {"name": "none"}})
    result = trained(diverging, tmp_path)
    (tmp_path / "status.json").unlink()
    again = trained(diverging, tmp_path, report=lambda record: pytest.fail("an epoch was trained"))
    assert again.status == result.status and len(again.records) == len(result.records)


def test_worker_processes_give_the_same_bits(done: Path, tmp_path: Path) -> None:
    trained(trial(data={"workers": 2}), tmp_path)
    assert_same_checkpoint(last(done), last(tmp_path))


@pytest.mark.parametrize(
    ("train", "images"),
    [({}, 200), ({"drop_last": True}, 192), ({"steps_per_epoch": 2}, 64), ({"steps_per_epoch": 99}, 200)],
)
def test_an_epoch_has_the_steps_asked_for(tmp_path: Path, train: dict[str, Any], images: int) -> None:
    steps = []
    found = []

    def watch(epoch: int, step: int, waited: float, meter: Any) -> None:
        steps.append((epoch, step))
        found.append(meter.read().samples)

    trained(trial(train={"epochs": 2, **train}), tmp_path, watch=watch)
    assert steps == [(epoch, step) for epoch in (1, 2) for step in range(math.ceil(images / 32))]
    assert found[-1] == images


def test_bfloat16_trains(tmp_path: Path) -> None:
    records = trained(trial(train={"precision": "bfloat16"}), tmp_path).records
    assert records[-1]["train/loss"] < records[0]["train/loss"]
    assert all(value.dtype == torch.float32 for key, value in last(tmp_path).model.items() if key.endswith("weight"))


def test_memory_formats_agree(tmp_path: Path) -> None:
    losses = []
    for layout in ("channels_last", "contiguous"):
        of = trial(execution={"memory_format": layout}, train={"epochs": 1})
        losses.append(trained(of, tmp_path / layout).records[0]["validation/loss"])
        weight = last(tmp_path / layout).model["layer1.0.conv1.weight"]
        assert weight.is_contiguous(memory_format=torch.channels_last) == (layout == "channels_last")
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.slow
def test_a_compiled_model_agrees(tmp_path: Path) -> None:
    train = {"epochs": 1, "steps_per_epoch": 2}
    of = trial(execution={"compile": True}, train=train)
    try:
        compiled = trained(of, tmp_path / "compiled").records
    except Exception as error:
        if "compiler" not in str(error).lower():
            raise
        pytest.skip("torch.compile needs a C++ compiler")
    eager = trained(trial(train=train), tmp_path / "eager").records
    assert compiled[0]["validation/loss"] == pytest.approx(eager[0]["validation/loss"], rel=1e-3)


def test_a_directory_of_another_trial_is_refused(tmp_path: Path) -> None:
    trained(trial(train={"keep": "none"}), tmp_path)
    with pytest.raises(TrialError, match=r"holds trial .*, but this is trial"):
        trained(trial(seed=1), tmp_path)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(TrialError, match=r"execution.device must be a device of this machine, but got 'cuda:63'"):
        trial(execution={"device": "cuda:63"})


def test_another_trials_checkpoint_begins_another_trial(done: Path, tmp_path: Path) -> None:
    longer = trial(train={"epochs": 5}, optim={"weight_decay": 0.0})
    warm = longer.begun_from(last(done), "0" * 64)
    assert warm.trial_id not in (longer.trial_id, trial().trial_id)
    result = trained(warm, tmp_path, start=last(done))
    assert [record["epoch"] for record in result.records] == [1, 2, 3, 4, 5]
    assert numbers(result.records[:3]) == numbers(last(done).records)


def test_a_start_that_leaves_nothing_to_train_is_refused(done: Path, tmp_path: Path) -> None:
    warm = trial(seed=1).begun_from(last(done), "0" * 64)
    with pytest.raises(CheckpointError, match=r"after epoch 3 with train.epochs=3; raise train.epochs"):
        trained(warm, tmp_path, start=last(done))


def test_its_own_checkpoint_elsewhere_goes_on_and_is_kept(tmp_path: Path) -> None:
    trained(trial(train={"keep": "all"}), tmp_path / "a")
    for name in ("epoch_0001.pt", "last.pt"):
        start = last(tmp_path / "a", name)
        own = trial().begun_from(start, "0" * 64)
        assert own.trial_id == trial().trial_id
        trained(own, tmp_path / name, start=start)
        assert_same_checkpoint(last(tmp_path / "a"), last(tmp_path / name))


@pytest.mark.slow
def test_remote_storage_works_but_not_for_tensorboard(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    bucket = fs.SubTreeFileSystem(str(tmp_path / "bucket"), fs.LocalFileSystem())
    assert trained(trial(), Folder("a", filesystem=bucket)).status.status == "finished"
    assert (tmp_path / "bucket" / "a" / "last.pt").exists()
    with pytest.raises(TrialError, match=r"train.tensorboard needs a local folder, but got b"):
        trained(trial(train={"tensorboard": True}), Folder("b", filesystem=bucket))


def test_the_execution_is_settled_and_written_down(tmp_path: Path) -> None:
    of = Trial.prepare(config(execution={"threads": "auto"}), cpus=1)
    trained(of, tmp_path)
    record = json.loads((tmp_path / "execution.json").read_text())
    settled = {"device": "cpu", "threads": 1, "memory_format": "channels_last", "compile": False, "workers": 1}
    assert settled.items() <= record.items() and record["torch"] == torch.__version__
