"""Sweeps run on a real Ray, in this process."""

import io
import math
import os
import shutil
import signal
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.sweep.tiny import Ran, alone, records, train, until, write
from wsnet.config import read_sweep
from wsnet.storage import Folder
from wsnet.sweep.cluster.ray_session import Session
from wsnet.sweep.commands.dry_run import show_costs
from wsnet.sweep.planning.plan import make_plan
from wsnet.sweep.run import run
from wsnet.sweep.trials.context import SweepContext
from wsnet.sweep.trials.trainable import train_and_log

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]

CASES = [{"model.norm.name": "batch"}, {"model.norm.name": "group", "model.norm.groups": 2}]
TWO_AT_ONCE = {"max_concurrent": 2}


def grid(folder: Path, batch_sizes: list[int]) -> Ran:
    return train(write(folder, cases=CASES, grid={"train.batch_size": batch_sizes}, resources=TWO_AT_ONCE), folder)


def dry_run(folder: Path, batch_sizes: list[int]) -> str:
    path = write(folder, cases=CASES, grid={"train.batch_size": batch_sizes}, resources=TWO_AT_ONCE)
    console = Console(file=io.StringIO(), width=200)
    sweep = Folder(folder) / "tiny"
    show_costs(read_sweep(str(path), []), str(path), root=folder, folder=sweep, console=console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def trained(shared_ray: Session, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return grid(tmp_path_factory.mktemp("grid"), [8, 32])


def test_a_grid_trains_every_trial_to_the_same_bits_as_fit_alone(trained: Ran, tmp_path: Path) -> None:
    assert {name: (s.status, s.epoch) for name, s in trained.statuses().items()} == dict.fromkeys(
        ["bn-b8-s0", "bn-b32-s0", "gn-g2-b8-s0", "gn-g2-b32-s0"], ("finished", 2)
    )
    assert trained.outcome.progress.done == 4 and not trained.outcome.interrupted
    for trial_id in trained.trial_ids:
        directory = trained.directory(trial_id)
        assert records(directory) == alone(directory, tmp_path)
        assert directory.folder.names() == [
            "execution.json", "last.pt", "log.tsv", "log.txt", "records.jsonl", "status.json", "trial.yaml"
        ]  # fmt: skip


def test_a_second_run_trains_nothing_and_a_new_value_only_its_own_trials(trained: Ran, tmp_path: Path) -> None:
    assert trained.folder.local is not None
    shutil.copytree(trained.folder.local, tmp_path / "tiny")
    again = grid(tmp_path, [8, 32])
    assert "Every trial is done already." in again.printed
    assert again.touched() == trained.touched()
    assert f"In {again.folder.location}, every trial is done already." in dry_run(tmp_path, [8, 32])
    text = dry_run(tmp_path, [8, 16, 32])
    assert (
        f"In {again.folder.location}, 4 trials are done, 0 would continue or be tried again, and 2 would be new" in text
    )
    touched = grid(tmp_path, [8, 16, 32]).touched()
    assert len(touched) == 6
    assert {trial_id: touched[trial_id] for trial_id in trained.touched()} == trained.touched()


def test_damaged_trials_are_repaired_by_the_next_start_and_no_other_is_touched(trained: Ran, tmp_path: Path) -> None:
    assert trained.folder.local is not None
    shutil.copytree(trained.folder.local, tmp_path / "tiny")
    trials = tmp_path / "tiny" / "trials"
    cut, garbled, flipped, _ = trained.trial_ids
    (trials / cut / "records.jsonl").write_bytes(b"")
    (trials / garbled / "status.json").write_bytes(b"\x00" * 100)
    checkpoint = bytearray((trials / flipped / "last.pt").read_bytes())
    checkpoint[len(checkpoint) // 2] ^= 1
    (trials / flipped / "last.pt").write_bytes(checkpoint)
    (trials / flipped / "status.json").unlink()
    again = grid(tmp_path, [8, 32])
    assert again.outcome.progress.done == 4 and again.statuses() == trained.statuses()
    for trial_id in trained.trial_ids:
        assert records(again.directory(trial_id)) == records(trained.directory(trial_id))
    changed = {trial_id for trial_id, time in trained.touched().items() if again.touched()[trial_id] != time}
    assert changed == {flipped}, "the others have their last checkpoint"


# Four downsamplings take an 8x8 digit to 1x1, where batch norm has nothing to normalize a single image with.
FAILING = {"model": {"name": "resnet", "depth": 18, "stem": "imagenet"}, "train.batch_size": 1}


def ends(folder: Path) -> Path:
    """A sweep of trials that fail, diverge, finish and cannot begin."""
    return write(
        folder,
        cases=[FAILING, {"optim.lr": 1e9}, {"optim.lr": 0.05}, {"optim.lr": 0.1}],
        train={"epochs": 2, "batch_size": 8, "steps_per_epoch": 2},
        resources={"max_failures": 0},
    )


class Ended(Ran):
    """What became of them, and what the driver wrote to its standard error."""

    def __init__(self, ran: Ran, errors: str) -> None:
        super().__init__(ran.plan, ran.outcome, ran.folder, ran.printed)
        self.errors = errors


@pytest.fixture(scope="module")
def ended(shared_ray: Session, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("ends")
    path = ends(folder)
    blocked = make_plan(read_sweep(str(path), []), str(path), root=folder).trials[-1].entry.trial_id
    (folder / "tiny" / "trials").mkdir(parents=True)
    (folder / "tiny" / "trials" / blocked).write_text("a file where the trial's directory would be")
    errors = io.StringIO()
    with redirect_stderr(errors):
        ran = train(path, folder)
    return Ended(ran, errors.getvalue())


def test_failing_and_diverging_trials_end_no_other_and_only_the_failed_are_tried_again(ended: Ended) -> None:
    failed, diverged, finished, blocked = ended.trial_ids  # The last one is the subject of another test.
    statuses = [ended.directory(trial_id).status() for trial_id in (failed, diverged, finished)]
    assert [status and status.status for status in statuses] == ["failed", "diverged", "finished"]
    assert (ended.outcome.progress.count("failed"), ended.outcome.progress.done) == (2, 2)
    message = ended.directory(failed).status().message  # type: ignore[union-attr]
    assert "batch" in message
    assert f"failed: {message}" in ended.printed and ended.printed.count("failed:") == 2
    assert {"error.txt", "log.txt"} <= set(ended.directory(failed).folder.names())
    assert "error.txt" not in ended.directory(finished).folder.names()
    assert math.isnan(ended.directory(diverged).records()[-1]["train/loss"])

    assert ended.folder.local is not None
    trials = ended.folder.local / "trials"
    (trials / blocked).unlink()
    touched = ended.touched()
    before = (trials / failed / "error.txt").stat().st_mtime_ns
    again = train(ends(ended.folder.local.parent), ended.folder.local.parent)
    assert {trial_id: again.touched()[trial_id] for trial_id in touched} == touched
    assert (trials / failed / "error.txt").stat().st_mtime_ns > before
    assert (again.outcome.progress.count("failed"), again.outcome.progress.done) == (1, 3)


def test_a_trial_that_can_not_even_say_so_counts_as_failed(ended: Ended) -> None:
    assert "failed: " in ended.printed and "Error: [Errno" in ended.printed
    assert "Error" in ended.errors, "what goes wrong in the driver is shown"


def test_a_random_search_trains_what_it_drew(tmp_path: Path) -> None:
    search = {"name": "random", "samples": 3, "seed": 1}
    axes = {"optim.lr": {"log_uniform": [0.01, 0.1]}, "train.batch_size": [8, 16]}
    path = write(tmp_path, grid=axes, search=search, resources={"max_concurrent": 1})
    ran = train(path, tmp_path)
    assert len(ran.trial_ids) == 3 and {s.status for s in ran.statuses().values()} == {"finished"}
    assert train(path, tmp_path).touched() == ran.touched()


def _dying_job(config: dict[str, Any], *, context: SweepContext) -> None:
    """Ends the process at the fifth epoch, before Tune is told of it, once."""
    from ray import tune

    mark = Path(context.folder) / "died"

    def tell(told: dict[str, Any]) -> None:
        if told["epoch"] == 5 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        tune.report(told)

    train_and_log(config["trial_id"], context, tell)


@pytest.mark.parametrize("max_failures", [1, 0])
def test_a_killed_actor_is_started_again_from_its_checkpoint_as_often_as_it_may(
    max_failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, train={"epochs": 10, "steps_per_epoch": 2}, resources={"max_failures": max_failures})
    monkeypatch.setattr("wsnet.sweep.tuner.train_job", _dying_job)
    ran = train(path, tmp_path)
    directory = ran.directory(ran.trial_ids[0])
    status = directory.status()
    assert status is not None
    if max_failures:
        assert (status.status, status.epoch) == ("finished", 10)
        assert records(directory) == alone(directory, tmp_path)
    else:
        assert (status.status, status.message) == ("failed", "its process died; see error.txt")
        assert status.epoch == 5 and b"died" in (directory.folder.read("error.txt") or b"")
        again = train(path, tmp_path)
        assert (again.outcome.progress.done, "error.txt" in directory.folder.names()) == (1, False)
        assert records(directory) == alone(directory, tmp_path)


def test_an_interrupted_sweep_leaves_no_process_on_a_ray_that_goes_on(tmp_path: Path, shared_ray: Session) -> None:
    import ray

    path = write(tmp_path, train={"epochs": 1000}, resources=TWO_AT_ONCE, seeds=2)
    plan = make_plan(read_sweep(str(path), []), str(path), root=tmp_path)
    folder = Folder(tmp_path) / "tiny"
    plan.manifest.write(folder)

    def interrupt(trial_id: str) -> None:
        raise KeyboardInterrupt

    console = Console(file=io.StringIO())
    free = ray.available_resources().get("CPU", 0)
    ended = run(plan, folder=folder, data_root=tmp_path, address=None, console=console, changed=interrupt)
    assert ended.interrupted == 130
    until(lambda: ray.available_resources().get("CPU", 0) >= free, seconds=60)
