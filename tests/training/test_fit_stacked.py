"""Seeds trained side by side: the trials that they are alone up to rounding, and the same bits whatever happens."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.training.dying import Died, DyingFolder
from tests.training.trials import assert_same_checkpoint, last, numbers, trained, trial
from wsnet.storage import Folder, Status, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training import Result, Trial, TrialError, fit
from wsnet.training.fit_stacked import fit_stacked

SEEDS = (3, 0, 7)
TRAIN = {"epochs": 3, "steps_per_epoch": 2}


def stack(**sections: Any) -> list[Trial]:
    return trial(**{"train": TRAIN, **sections}).stacked(SEEDS)


def goes_on(records: Mapping[str, Record]) -> Collection[str]:
    return ()


def stacked(
    trials: list[Trial],
    folder: Path,
    *,
    only: Collection[int] = SEEDS,
    report: Callable[[Mapping[str, Record]], Collection[str]] = goes_on,
    make: Callable[[Path], Folder] = Folder,
) -> dict[int, Result]:
    """Train some of the seeds; returns their results by seed."""
    folders = {each.trial_id: make(folder / str(each.config.seed)) for each in trials if each.config.seed in only}
    found = fit_stacked(trials, report=report, checkpoint_dirs=folders)
    return {each.config.seed: found[each.trial_id] for each in trials if each.trial_id in found}


def written(folder: Path, seed: int) -> list[Record]:
    return numbers(TrialDirectory(Folder(folder / str(seed))).records())


def assert_same_results(folder: Path, other: Path, seeds: Collection[int] = SEEDS) -> None:
    """Two folders have the same trials, finished, to the last bit."""
    for seed in seeds:
        assert TrialDirectory(Folder(folder / str(seed))).status() == Status(status="finished", epoch=3)
        assert written(folder, seed) == written(other, seed)
        assert_same_checkpoint(last(folder / str(seed)), last(other / str(seed)))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stack trained without a stop."""
    folder = tmp_path_factory.mktemp("straight")
    stacked(stack(), folder)
    return folder


def test_each_seed_has_the_records_that_it_has_alone_up_to_rounding(straight: Path, tmp_path: Path) -> None:
    for seed in SEEDS:
        alone = trained(trial(train=TRAIN, seed=seed), tmp_path / str(seed))
        for one, other in zip(written(straight, seed), numbers(alone.records), strict=True):
            assert one.keys() == other.keys()
            assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-4)
            assert one["lr"] == other["lr"]
        assert last(straight / str(seed)).trial_id == alone_id(seed)


def alone_id(seed: int) -> str:
    return trial(train=TRAIN, seed=seed).trial_id


def test_a_directory_is_that_of_a_plain_trial_and_its_execution_record_names_the_stack(straight: Path) -> None:
    for seed in SEEDS:
        names = Folder(straight / str(seed)).names()
        assert names == ["execution.json", "last.pt", "log.tsv", "records.jsonl", "status.json", "trial.yaml"]
        execution = TrialDirectory(Folder(straight / str(seed))).execution()
        assert execution is not None and execution["stack"] == list(SEEDS)


@pytest.mark.parametrize("dies_at", [3, 11, 16, 19, 22, 25, 28, 31, 33, 35, 37, 38, 40])
def test_a_crash_at_any_write_changes_no_bit_of_any_seed(straight: Path, tmp_path: Path, dies_at: int) -> None:
    counter = [dies_at]
    with pytest.raises(Died):
        stacked(stack(), tmp_path, make=lambda folder: DyingFolder(folder, counter))
    again = stacked(stack(), tmp_path)
    assert {seed: result.status for seed, result in again.items()} == dict.fromkeys(
        SEEDS, Status(status="finished", epoch=3)
    )
    assert_same_results(tmp_path, straight)


def test_a_seed_that_is_stopped_and_goes_on_later_changes_no_bit_of_the_others_and_none_of_its_own(
    straight: Path, tmp_path: Path
) -> None:
    trials = stack()
    stopped = trials[1].trial_id

    def stops_one(records: Mapping[str, Record]) -> Collection[str]:
        return [stopped] if next(iter(records.values()))["epoch"] == 1 else []

    assert set(stacked(trials, tmp_path, report=stops_one)) == {3, 7}
    assert len(written(tmp_path, 0)) == 1
    assert_same_results(tmp_path, straight, seeds=(3, 7))
    assert set(stacked(trials, tmp_path)) == {3, 0, 7}
    assert_same_results(tmp_path, straight)


def test_one_seed_can_be_trained_again_in_its_place_of_the_stack(straight: Path, tmp_path: Path) -> None:
    assert set(stacked(stack(), tmp_path, only=[0])) == {0}
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    assert_same_results(tmp_path, straight, seeds=[0])


def test_a_seed_that_diverges_has_its_own_end_and_the_others_theirs(straight: Path, tmp_path: Path) -> None:
    low, middle, _ = sorted(SEEDS, key=lambda seed: written(straight, seed)[0]["train/loss"])
    limit = sum(written(straight, seed)[0]["train/loss"] for seed in (low, middle)) / 2
    hot = {**TRAIN, "stop_above": {"loss": limit, "after": 1}}
    found = stacked(stack(train=hot), tmp_path)
    for seed in SEEDS:
        alone = trained(trial(train=hot, seed=seed), tmp_path / "alone" / str(seed))
        ends = (found[seed].status.status, found[seed].status.epoch)
        assert ends == (alone.status.status, alone.status.epoch)
    assert {found[seed].status.status for seed in SEEDS if seed != low} == {"diverged"}
    assert found[low].records[0]["train/loss"] == written(straight, low)[0]["train/loss"]


def test_the_epochs_durations_add_up_to_the_time_that_they_took(straight: Path) -> None:
    for epoch in range(3):
        times = [TrialDirectory(Folder(straight / str(seed))).records()[epoch] for seed in SEEDS]
        assert len({each["time/epoch_seconds"] for each in times}) == 1
        of_training = len(SEEDS) * 64 / times[0]["time/images_per_second"]
        assert of_training < sum(each["time/epoch_seconds"] for each in times)


def test_what_was_begun_in_a_stack_does_not_go_on_alone_nor_in_another_stack(tmp_path: Path) -> None:
    def dies(records: Mapping[str, Record]) -> Collection[str]:
        raise Died

    with pytest.raises(Died):
        stacked(stack(), tmp_path, report=dies)
    with pytest.raises(TrialError, match=r"trained side by side with seeds 3, 0, 7, .* so it cannot go on alone; run"):
        fit(trial(train=TRAIN, seed=0), report=lambda record: None, checkpoint_dir=Folder(tmp_path / "0"))
    with pytest.raises(TrialError, match="cannot go on side by side with seeds 0, 3"):
        stacked(trial(train=TRAIN).stacked([0, 3]), tmp_path, only=[0])


def test_a_trial_that_has_ended_in_a_stack_is_left_alone_by_another_start(straight: Path) -> None:
    result = fit(trial(train=TRAIN, seed=0), report=lambda record: None, checkpoint_dir=Folder(straight / "0"))
    assert result.status == Status(status="finished", epoch=3)
    assert set(stacked(trial(train=TRAIN).stacked([0, 3]), straight, only=[0, 3])) == {0, 3}


def test_a_setting_that_cannot_be_stacked_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be stacked: train\.checkpoint_steps"):
        stacked(stack(train={**TRAIN, "checkpoint_steps": 1}), tmp_path)
