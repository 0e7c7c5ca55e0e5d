"""Successive halving with a kill between a rung's record and its verdict: the same trials stop at the same rungs."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import ON_TWO_WORKERS, ROOT, Ran, environment, records, train, write
from wsnet.storage import Folder
from wsnet.sweep.cluster.ray_session import Session
from wsnet.sweep.trials import trainable
from wsnet.sweep.trials.context import SweepContext
from wsnet.sweep.trials.trainable import train_and_log

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SWEEP: dict[str, Any] = {
    "cases": [{"model.norm.name": "group", "model.norm.groups": 2}],
    "train": {"epochs": 4, "steps_per_epoch": 6},
    "grid": {"optim.lr": [0.1, 0.05, 1e-3]},
}

DYING_DRIVER = """
import os, signal, sys
from wsnet.report import conclude
from wsnet.sweep.cli import main
from wsnet.sweep.schedulers.trial_scheduler import JournaledAsha

decide = JournaledAsha._decide
taken = 0

def die(scheduler, arrival):
    global taken
    if sys._getframe(1).f_code.co_name == "on_trial_result":
        taken += 1
        if taken == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    return decide(scheduler, arrival)

JournaledAsha._decide = die
sys.exit(main(sys.argv[1:], conclude=conclude))
"""
"""`run_sweep.py`, killed when a trial has reported at a rung and nothing is decided yet, for the second time."""


def sweep(folder: Path, **changes: Any) -> Path:
    """A sweep file; one trial after the other: what stops is then the same every time."""
    folder.mkdir(exist_ok=True)
    asha = {"name": "asha", "metric": "validation/loss", "grace": 1, "eta": 2}
    resources = {"max_concurrent": 1, "max_failures": 1, **changes.pop("resources", {})}
    return write(folder, **{**SWEEP, "scheduler": asha, **changes, "resources": resources})


@pytest.fixture(scope="module")
def expected(shared_ray: Session, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The sweep of one worker without a kill."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ran = train(sweep(folder), folder)
    ends = {(status.status, status.epoch) for status in ran.statuses().values()}
    assert {("stopped", 2), ("finished", 4)} <= ends, "else there is too little to get wrong"
    return ran


def verdicts(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ran.folder.read("rungs.jsonl") or b"").splitlines()]


def assert_the_same(ran: Ran, expected: Ran) -> None:
    assert ran.statuses() == expected.statuses()
    assert verdicts(ran) == verdicts(expected)
    for trial_id in expected.trial_ids:
        assert records(ran.directory(trial_id)) == records(expected.directory(trial_id))


def test_a_driver_killed_before_a_verdict_stops_the_same_trials_at_the_next_start(
    expected: Ran, cluster: str, tmp_path: Path
) -> None:
    path = sweep(tmp_path / "killed")
    command = [sys.executable, "-c", DYING_DRIVER, str(path), "--storage", str(path.parent), "--address", cluster]
    assert [v["verdict"] for v in verdicts(expected)] == ["continue", "continue", "continue", "stop", "stop"]
    joining = os.environ | environment()  # It imports ray before it joins, so it needs the token's variables from here.
    # The second and the fourth verdict are cut off, and taken at the next start.
    for taken in (1, 3):
        with open(tmp_path / "log.txt", "ab") as log:  # No pipe: processes that a killed driver leaves hold it open.
            start = subprocess.run(command, env=joining, cwd=ROOT, stdout=log, stderr=log, timeout=200)
        assert start.returncode == -signal.SIGKILL, (tmp_path / "log.txt").read_text()
        assert len((Folder(path.parent / "tiny").read("rungs.jsonl") or b"").splitlines()) == taken
    assert_the_same(train(path, path.parent), expected)


def killed_once(path: Path, trial_id: str, rung: int) -> Ran:
    """Run a sweep in which a process is killed before it can tell of a rung."""
    (path.parent / "tiny").mkdir(exist_ok=True)
    mark = path.parent / "tiny" / "die"
    mark.write_text(json.dumps([trial_id, rung]))
    ran = train(path, path.parent)
    assert not mark.exists(), f"nothing was killed: {ran.statuses()}"
    return ran


def _dying(told: dict[str, Any], context: SweepContext) -> None:
    """Ends the process before Tune is told of a rung, once: `die` in the sweep's folder says at which."""
    mark = Path(context.folder) / "die"
    if mark.exists() and json.loads(mark.read_text()) == [told["trial"], told["epoch"]]:
        mark.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def _dying_job(config: dict[str, Any], *, context: SweepContext) -> None:
    from ray import tune

    def tell(told: dict[str, Any]) -> None:
        _dying(told, context)
        tune.report(told)

    train_and_log(config["trial_id"], context, tell)


def test_an_actor_killed_before_the_verdict_is_judged_at_that_rung(
    expected: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsnet.sweep.tuner.train_job", _dying_job)
    cut_off = next(v for v in verdicts(expected) if (v["rung"], v["verdict"]) == (2, "stop"))
    assert_the_same(killed_once(sweep(tmp_path / "killed"), cut_off["trial_id"], rung=2), expected)


_train_on_workers, _worker = trainable.train_on_workers, trainable._worker


def _dying_worker(config: dict[str, Any]) -> None:
    import ray.train

    report = ray.train.report

    def tell(told: dict[str, Any]) -> None:
        if ray.train.get_context().get_world_rank() == 0:
            _dying(told, config["context"])
        report(told)

    ray.train.report = tell
    _worker(config)


def _on_dying_workers(config: dict[str, Any], *, context: SweepContext) -> None:
    trainable._worker = _dying_worker
    _train_on_workers(config, context=context)


def test_workers_of_one_trial_wait_for_its_verdict_also_when_one_is_killed_before(
    on_two_workers: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsnet.sweep.tuner.train_on_workers", _on_dying_workers)
    _, best, worse = on_two_workers.trial_ids
    path = sweep(tmp_path / "killed", cases=ON_TWO_WORKERS["cases"][1:], grid={}, resources={"workers": 2})
    done = on_two_workers.directory(best).folder.local
    assert done is not None
    shutil.copytree(done, path.parent / "tiny" / "trials" / best)
    ran = killed_once(path, worse, rung=2)
    assert [(s.status, s.epoch) for s in ran.statuses().values()] == [("finished", 4), ("stopped", 2)]
    without_scheduler = records(on_two_workers.directory(worse))
    assert records(ran.directory(worse)) == without_scheduler[:2]
    assert [(v["rung"], v["value"], v["verdict"]) for v in verdicts(ran) if v["trial_id"] == worse] == [
        (1, without_scheduler[0]["validation/loss"], "continue"),
        (2, without_scheduler[1]["validation/loss"], "stop"),
    ]
