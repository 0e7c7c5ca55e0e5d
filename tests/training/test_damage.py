"""Files that were damaged after they were written are noticed and set aside, and the trial ends as without them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.trials import assert_same_checkpoint, last, numbers, trained, trial
from wsnet.storage import Folder, TrialDirectory
from wsnet.storage.trial_directory import Record

EPOCHS = 3


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def empty(data: bytes) -> bytes:
    return b""


def garbled(data: bytes) -> bytes:
    return bytes(byte ^ 0x5A for byte in data)


def with_a_flipped_bit(data: bytes) -> bytes:
    """A digit of a small file becomes another one; in a checkpoint, a bit of a weight flips."""
    at = next((i for i in range(len(data) // 2, len(data)) if data[i : i + 1].isdigit()), len(data) // 2)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGE = [half, empty, garbled, with_a_flipped_bit]
Damage = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trial, undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    trained(trial(train={"epochs": EPOCHS}), folder)
    return folder


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trial, stopped in the middle of its last epoch."""
    folder = tmp_path_factory.mktemp("interrupted")

    class Stop(Exception):
        pass

    def stop(epoch: int, step: int, *_: object) -> None:
        if (epoch, step) == (EPOCHS, 2):
            raise Stop

    with pytest.raises(Stop):
        trained(trial(train={"epochs": EPOCHS, "checkpoint_steps": 2}), folder, watch=stop)
    return folder


def damaged(folder: Path, copy: Path, damage: Damage, *names: str) -> Path:
    shutil.copytree(folder, copy)
    for name in names:
        (copy / name).write_bytes(damage((copy / name).read_bytes()))
    return copy


def records(folder: Path) -> list[Record]:
    return numbers(TrialDirectory(Folder(folder)).records())


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    ("names", "resumed_after"),
    [
        (["step.pt"], 2),
        (["step.pt", "last.pt"], 1),
        (["step.pt", "last.pt", "previous.pt"], 0),
        (["execution.json", "status.json", "records.jsonl", "trial.yaml"], 2),
    ],
    ids=["step", "last", "all checkpoints", "small files"],
)
def test_an_interrupted_trial_resumes_from_what_is_sound(
    whole: Path,
    interrupted: Path,
    tmp_path: Path,
    names: list[str],
    resumed_after: int,
    damage: Damage,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = damaged(interrupted, tmp_path / "trial", damage, *names)
    trained_now: list[float] = []
    options = {"train": {"epochs": EPOCHS, "checkpoint_steps": 2}}
    trained(trial(**options), folder, report=lambda record: trained_now.append(record["epoch"]))
    assert trained_now == [*range(resumed_after + 1, EPOCHS + 1)]
    assert records(folder) == records(whole)
    assert_same_checkpoint(last(folder), last(whole))
    error = capsys.readouterr().err
    for name in names:
        if name == "trial.yaml":  # Only its first line is read, and it is written anew.
            assert (folder / name).read_bytes() == (interrupted / name).read_bytes()
        elif name != "records.jsonl" or damage is with_a_flipped_bit:  # Else a cut-off line, as a crash leaves it.
            assert f"{folder}/{name} is damaged: kept as {name}.damaged" in error
            assert (folder / f"{name}.damaged").read_bytes() == damage((interrupted / name).read_bytes())


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["records.jsonl", "status.json"])
def test_a_finished_trial_is_repaired_without_training(whole: Path, tmp_path: Path, name: str, damage: Damage) -> None:
    folder = damaged(whole, tmp_path / "trial", damage, name)
    outcome = TrialDirectory(Folder(folder)).outcome()
    assert outcome is not None and (outcome.status, outcome.record) == ("damaged", {})

    def never(record: Record) -> None:
        raise AssertionError(f"trained epoch {record['epoch']}")

    result = trained(trial(train={"epochs": EPOCHS}), folder, report=never)
    assert (result.status.status, result.status.epoch) == ("finished", EPOCHS)
    assert records(folder) == records(whole) == numbers(result.records)
    assert TrialDirectory(Folder(folder)).outcome() == TrialDirectory(Folder(whole)).outcome()


def test_a_finished_trial_keeps_one_checkpoint(whole: Path) -> None:
    assert [path.name for path in sorted(whole.glob("*.pt*"))] == ["last.pt"]


def test_files_of_older_versions_have_no_checksums_and_are_read(whole: Path, tmp_path: Path) -> None:
    folder = damaged(whole, tmp_path / "trial", lambda data: data)
    directory = TrialDirectory(Folder(folder))
    assert directory.outcome() is not None
    for name in ("status.json", "records.jsonl", "execution.json"):
        text = (folder / name).read_text()
        lines = [line for line in text.splitlines() if not line.startswith(' "crc32"')]
        stripped = "\n".join(line.partition(', "crc32"')[0] + ("}" if ', "crc32"' in line else "") for line in lines)
        assert stripped + "\n" != text
        (folder / name).write_text(stripped + "\n")
    older = TrialDirectory(Folder(folder))
    before = TrialDirectory(Folder(whole))
    assert (older.status(), older.records(), older.execution()) == (
        before.status(),
        before.records(),
        before.execution(),
    )
