"""Sweeps run on a real Ray, in this process."""

import math
import threading
from pathlib import Path

import pytest

from tests.sweep.tiny import alone, kill, records, train, until, write, writers
from wsnet.config import read_sweep
from wsnet.sweep.plan import make_plan
from wsnet.sweep.ray_session import Session

pytestmark = pytest.mark.usefixtures("shared_ray")

CASES = [{"model.norm.name": "batch"}, {"model.norm.name": "group", "model.norm.groups": 2}]


@pytest.mark.slow
def test_a_grid_trains_every_trial_to_the_same_bits_as_fit_alone(tmp_path: Path) -> None:
    ran = train(write(tmp_path, cases=CASES, grid={"train.batch_size": [8, 32]}), tmp_path)
    assert {name: (s.status, s.epoch) for name, s in ran.statuses().items()} == dict.fromkeys(
        ["bn-b8-s0", "bn-b32-s0", "gn-g2-b8-s0", "gn-g2-b32-s0"], ("finished", 2)
    )
    assert ran.outcome.progress.done == 4 and not ran.outcome.interrupted
    for trial_id in ran.trial_ids:
        directory = ran.directory(trial_id)
        assert records(directory) == alone(directory, tmp_path)
        assert directory.folder.names() == [
            "execution.json", "last.pt", "log.tsv", "log.txt", "records.jsonl", "status.json", "trial.yaml"
        ]  # fmt: skip


@pytest.mark.slow
def test_a_second_run_trains_nothing_and_a_new_value_only_its_own_trials(tmp_path: Path) -> None:
    first = train(write(tmp_path, grid={"optim.lr": [0.1, 0.2]}), tmp_path)
    again = train(write(tmp_path, grid={"optim.lr": [0.1, 0.2]}), tmp_path)
    assert "Every trial is done already." in again.printed
    assert again.touched() == first.touched()
    wider = train(write(tmp_path, grid={"optim.lr": [0.1, 0.15, 0.2]}), tmp_path)
    touched = wider.touched()
    assert len(touched) == 3 and {trial_id: touched[trial_id] for trial_id in first.touched()} == first.touched()


@pytest.mark.slow
def test_failing_and_diverging_trials_end_no_other_and_only_the_failed_are_tried_again(tmp_path: Path) -> None:
    # Four downsamplings take an 8x8 digit to 1x1, where batch norm has nothing to normalize a single image with.
    resnet = {"model": {"name": "resnet", "depth": 18, "stem": "imagenet"}, "train.batch_size": 1}
    path = write(
        tmp_path,
        cases=[resnet, {"optim.lr": 1e9}, {"optim.lr": 0.05}],
        train={"epochs": 2, "batch_size": 8, "steps_per_epoch": 2},
    )
    ran = train(path, tmp_path)
    failed, diverged, finished = ran.trial_ids
    assert [status.status for status in ran.statuses().values()] == ["failed", "diverged", "finished"]
    assert (ran.outcome.progress.count("failed"), ran.outcome.progress.done) == (1, 2)
    message = ran.directory(failed).status().message  # type: ignore[union-attr]
    assert "batch" in message
    assert f"failed: {message}" in ran.printed and ran.printed.count("failed:") == 1
    assert {"error.txt", "log.txt"} <= set(ran.directory(failed).folder.names())
    assert "error.txt" not in ran.directory(finished).folder.names()
    assert math.isnan(ran.directory(diverged).records()[-1]["train/loss"])

    before = (ran.directory(failed).folder.local or tmp_path).joinpath("error.txt").stat().st_mtime_ns
    again = train(path, tmp_path)
    assert again.touched() == ran.touched()
    assert (again.directory(failed).folder.local or tmp_path).joinpath("error.txt").stat().st_mtime_ns > before
    assert again.outcome.progress.count("failed") == 1


def test_a_trial_that_can_not_even_say_so_counts_as_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, grid={"optim.lr": [0.1, 0.2]}, resources={"max_failures": 0})
    blocked = make_plan(read_sweep(str(path), []), str(path), root=tmp_path).trials[0].entry.trial_id
    (tmp_path / "tiny" / "trials").mkdir(parents=True)
    (tmp_path / "tiny" / "trials" / blocked).write_text("a file where the trial's directory would be")
    ran = train(path, tmp_path)
    assert (ran.outcome.progress.count("failed"), ran.outcome.progress.done) == (1, 1)
    assert "failed: " in ran.printed and "Error: [Errno" in ran.printed
    assert "Error" in capsys.readouterr().err, "what goes wrong in the driver is shown"


def test_a_random_search_trains_what_it_drew(tmp_path: Path) -> None:
    search = {"name": "random", "samples": 3, "seed": 1}
    path = write(tmp_path, grid={"optim.lr": {"log_uniform": [0.01, 0.1]}, "train.batch_size": [8, 16]}, search=search)
    ran = train(path, tmp_path)
    assert len(ran.trial_ids) == 3 and {s.status for s in ran.statuses().values()} == {"finished"}
    assert train(path, tmp_path).touched() == ran.touched()


@pytest.mark.parametrize("max_failures", [1, 0])
def test_a_killed_actor_is_started_again_from_its_checkpoint_as_often_as_it_may(
    max_failures: int, tmp_path: Path, shared_ray: Session
) -> None:
    path = write(tmp_path, train={"epochs": 240, "steps_per_epoch": 2}, resources={"max_failures": max_failures})
    trials = tmp_path / "tiny" / "trials"

    def kill_the_actor() -> None:
        def under_way() -> list[int]:
            done = sum(file.read_bytes().count(b"\n") for file in trials.glob("*/records.jsonl"))
            return writers(trials) if done >= 5 else []

        for pid in until(under_way):
            kill(pid)

    killer = threading.Thread(target=kill_the_actor)
    killer.start()
    ran = train(path, tmp_path)
    killer.join()
    directory = ran.directory(ran.trial_ids[0])
    status = directory.status()
    assert status is not None
    if max_failures:
        assert (status.status, status.epoch) == ("finished", 240)
        assert records(directory) == alone(directory, tmp_path)
    else:
        assert (status.status, status.message) == ("failed", "its process died; see error.txt")
        assert status.epoch >= 5 and b"died" in (directory.folder.read("error.txt") or b"")
        again = train(path, tmp_path)
        assert (again.outcome.progress.done, "error.txt" in directory.folder.names()) == (1, False)
        assert records(directory) == alone(directory, tmp_path)
