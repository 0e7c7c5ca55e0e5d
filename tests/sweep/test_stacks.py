"""Seeds of one setting trained side by side, in a sweep."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.started import assert_each_has_one_run, started, trials, under_way
from tests.sweep.tiny import Ran, alone, records, train, write
from wsnet.config import ConfigError, TrialConfig, read_sweep
from wsnet.report.cli import main as analyze
from wsnet.storage import Folder, Status, trial_directory
from wsnet.sweep.cluster.measuring import is_faster_stacked
from wsnet.sweep.planning.plan import Plan, make_plan
from wsnet.sweep.resume import read_states, unfinished
from wsnet.sweep.stacks import Stack, describe_stacks, stacks_among, stacks_of

CASES = [{"model.norm.name": "batch"}, {"model.norm.name": "group", "model.norm.groups": 2}]


def stacks(plan: Plan, folder: Folder, *, slots: int = 1, **options: Any) -> list[tuple[str, tuple[int, ...], int]]:
    """Of each stack the norm, the seeds side by side, and how many of them are trained."""
    missing = unfinished(read_states(plan, folder))
    entries = {trial.entry.trial_id: trial.entry for trial in plan.trials}
    asked = {"is_faster": never, **options}
    found = stacks_of(missing, plan, folder, has_scheduler=False, slots=slots, **asked)
    assert all(first == stack.trial_ids[0] for first, stack in found.items())
    return [(entries[first].name.split("-")[0], stack.seeds, len(stack.trial_ids)) for first, stack in found.items()]


def never(config: TrialConfig, seeds: int) -> bool:
    raise AssertionError("nothing is tried")


def planned(tmp_path: Path, *, stack: Any, seeds: Any = 5, **changes: Any) -> Plan:
    resources = {"stack": stack, **changes.pop("resources", {})}
    path = write(tmp_path, cases=CASES, seeds=seeds, resources=resources, **changes)
    return make_plan(read_sweep(str(path), []), str(path), root=tmp_path)


def begin(plan: Plan, folder: Folder, seed: int, execution: dict[str, Any]) -> None:
    """Leave the first setting's trial of a seed as it is after its first step."""
    directory = trial_directory(folder, next(t.entry.trial_id for t in plan.trials if t.entry.seed == seed))
    directory.write_execution(execution)
    directory.write_status(Status(status="running"))


def test_without_stacks_each_trial_is_trained_alone(tmp_path: Path) -> None:
    assert stacks(planned(tmp_path, stack=1), Folder(tmp_path)) == []


def test_the_seeds_of_each_setting_are_divided_into_stacks(tmp_path: Path) -> None:
    found = stacks(planned(tmp_path, stack=3), Folder(tmp_path))
    assert sorted(found) == [
        ("bn", (0, 1, 2), 3), ("bn", (3, 4), 2), ("gn", (0, 1, 2), 3), ("gn", (3, 4), 2)
    ]  # fmt: skip
    odd = stacks(planned(tmp_path, stack=2, seeds=[8, 3, 5]), Folder(tmp_path))
    assert sorted(odd) == [("bn", (3, 5), 2), ("gn", (3, 5), 2)], "the one that is left is trained alone"


def test_what_was_begun_goes_on_as_it_was(tmp_path: Path) -> None:
    plan, folder = planned(tmp_path, stack=1), Folder(tmp_path)
    begin(plan, folder, 0, {"stack": [0, 9, 1]})
    begin(plan, folder, 1, {"stack": [0, 9, 1]})
    begin(plan, folder, 2, {})
    assert stacks(plan, folder) == [("bn", (0, 9, 1), 2)]
    found = stacks(planned(tmp_path, stack=5), folder)
    assert sorted(found) == [("bn", (0, 9, 1), 2), ("bn", (3, 4), 2), ("gn", (0, 1, 2, 3, 4), 5)]


def test_a_scheduler_cannot_stop_what_was_begun_side_by_side(tmp_path: Path) -> None:
    plan, folder = planned(tmp_path, stack=1, scheduler={"name": "asha", "grace": 1}), Folder(tmp_path)
    missing = unfinished(read_states(plan, folder))
    options: dict[str, Any] = {"has_scheduler": True, "slots": 1, "is_faster": never}
    assert stacks_of(missing, plan, folder, **options) == {}
    begin(plan, folder, 0, {"stack": [0, 1]})
    with pytest.raises(
        ConfigError, match=r"scheduler.name: 1 unfinished trial was begun side by side \(resources.stack\)"
    ):
        stacks_of(unfinished(read_states(plan, folder)), plan, folder, **options)


def test_auto_decides_once_for_each_setting_and_leaves_no_slot_idle(tmp_path: Path) -> None:
    plan, folder = planned(tmp_path, stack="auto"), Folder(tmp_path)

    def is_faster(config: TrialConfig, seeds: int) -> bool:
        assert seeds == 5
        return config.model.norm.name == "group"

    assert stacks(plan, folder, is_faster=is_faster, slots=2) == [("gn", (0, 1, 2, 3, 4), 5)]
    assert stacks(plan, folder, slots=2) == [("gn", (0, 1, 2, 3, 4), 5)]
    folder.write("stacks.json", b"{broken")
    assert stacks(plan, folder, is_faster=is_faster, slots=3) == [], "two stacks would leave a slot without work"


@pytest.mark.slow
def test_auto_tries_a_step_both_ways(tmp_path: Path) -> None:
    small = planned(tmp_path, stack="auto", grid={"train.batch_size": [2]})
    found = stacks(small, Folder(tmp_path), is_faster=is_faster_stacked)
    assert len(found) == 2, "with two images, calls of operators take most of the time"


def test_auto_stacks_nothing_on_a_gpu(tmp_path: Path) -> None:
    config = planned(tmp_path, stack="auto", grid={"train.batch_size": [2]}).trials[0].config
    assert not is_faster_stacked(config, 5, gpus=1.0)


def test_what_cannot_be_stacked_is_trained_alone(tmp_path: Path) -> None:
    plan = planned(tmp_path, stack=5, train={"checkpoint_steps": 1})
    assert stacks(plan, Folder(tmp_path)) == []


def test_of_a_stack_some_trials_can_be_retried_in_their_places() -> None:
    found = {"a": Stack(seeds=(0, 1, 2), trial_ids=("a", "b", "c")), "d": Stack(seeds=(0, 1), trial_ids=("d", "e"))}
    assert stacks_among(found, ["c", "b", "x"]) == {"b": Stack(seeds=(0, 1, 2), trial_ids=("b", "c"))}


def test_stacks_are_told_in_a_line() -> None:
    found = {"a": Stack(seeds=(0, 1, 2), trial_ids=("a", "b", "c")), "d": Stack(seeds=(0, 1), trial_ids=("d",))}
    assert describe_stacks(found) == "4 trials in 2 stacks: 2 to 3 seeds of a setting side by side"


@pytest.fixture(scope="module")
def whole(shared_ray: object, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A sweep of two settings, each with three seeds side by side."""
    folder = tmp_path_factory.mktemp("stacks")
    return train(write(folder, cases=CASES, seeds=3, resources={"stack": 3}), folder)


@pytest.mark.slow
def test_every_trial_is_there_as_if_it_had_been_trained_alone(whole: Ran, tmp_path: Path) -> None:
    assert "6 trials in 2 stacks: 3 seeds of a setting side by side" in whole.printed
    assert {(status.status, status.epoch) for status in whole.statuses().values()} == {("finished", 2)}
    assert whole.outcome.progress.done == 6
    for trial_id in whole.trial_ids:
        for one, other in zip(
            records(whole.directory(trial_id)), alone(whole.directory(trial_id), tmp_path), strict=True
        ):
            assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-4)


@pytest.mark.slow
def test_a_trial_of_a_stack_is_trained_again_bit_by_bit(
    whole: Ran, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert analyze([whole.folder.location, "--reproduce", "gn-g2-s1"]) == 0
    assert "bit-equal in all 2 epochs" in capfd.readouterr().out


@pytest.mark.slow
def test_a_stack_that_fails_costs_its_own_trials_only(shared_ray: object, tmp_path: Path) -> None:
    # Four downsamplings take an 8x8 digit to 1x1, where batch norm has nothing to normalize a single image with.
    failing = {"model": {"name": "resnet", "depth": 18, "stem": "imagenet"}, "train.batch_size": 1}
    ran = train(
        write(tmp_path, cases=[failing, CASES[1]], seeds=2, resources={"stack": 2, "max_failures": 0}), tmp_path
    )
    statuses = ran.statuses()
    assert [statuses[name].status for name in statuses] == ["failed", "failed", "finished", "finished"]
    for trial_id, name in zip(ran.trial_ids, statuses, strict=True):
        has_error = ran.directory(trial_id).folder.read("error.txt") is not None
        assert has_error == (statuses[name].status == "failed")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_driver_goes_on_in_the_same_stacks_with_the_same_bits(shared_ray: object, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "train": {"epochs": 30, "steps_per_epoch": 2},
        "cases": CASES,
        "seeds": 3,
        "resources": {"stack": 3},
    }
    with started(tmp_path, **options) as process:
        under_way(tmp_path, process)
        process.kill()
        process.wait()
    begun = sum((path / "records.jsonl").exists() for path in trials(tmp_path).iterdir())
    assert 3 <= begun <= 6
    again = train(write(tmp_path, **{**options, "resources": {"max_concurrent": 1, "stack": 3}}), tmp_path / "runs")
    straight = train(
        write(tmp_path, **{**options, "resources": {"max_concurrent": 1, "stack": 3}}), tmp_path / "straight"
    )
    for trial_id in again.trial_ids:
        assert records(again.directory(trial_id)) == records(straight.directory(trial_id))
        assert json.loads(again.directory(trial_id).folder.read("execution.json") or b"")["stack"] == [0, 1, 2]


@pytest.mark.slow
def test_each_trial_of_a_stack_has_its_own_run_in_mlflow(shared_ray: object, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"train": {"epochs": 2}, "grid": {}, "seeds": 2, "resources": {"stack": 2}}
    with started(tmp_path, **changes) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert_each_has_one_run(tmp_path)
