"""Halving of settings on a real Ray: all seeds of a setting stop or continue together, also after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import ON_TWO_WORKERS, ROOT, Ran, environment, records, train, until, write
from wsnet.storage import Folder
from wsnet.sweep.cli import main
from wsnet.sweep.cluster.ray_session import Session
from wsnet.sweep.trials.context import SweepContext
from wsnet.sweep.trials.trainable import train_and_log, train_job
from wsnet.sweep.tune_patches import without_lost_resources

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LRS, SEEDS, EPOCHS = [0.1, 0.05, 1e-3, 1e-5], 3, 4

DYING_DRIVER = """
import os, signal, sys
from wsnet.report import conclude
from wsnet.sweep.cli import main
from wsnet.sweep.schedulers.decision_journal import SettingDecisions

reported, arrivals = SettingDecisions.reported, 0

def die(decisions, trial_id, record):
    global arrivals
    arrivals += record["epoch"] in decisions.rungs[trial_id]
    if arrivals == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    return reported(decisions, trial_id, record)

SettingDecisions.reported = die
sys.exit(main(sys.argv[1:], conclude=conclude))
"""
"""`run_sweep.py`, killed when all 12 trials have been at the first rung, and 3 of 6 are at the second."""


def sweep(folder: Path, mode: str, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    scheduler = {"name": "asha", "metric": "validation/loss", "eta": 2, "mode": mode}
    fixed = {"train": {"epochs": EPOCHS, "steps_per_epoch": 6}, "seeds": SEEDS, "scheduler": scheduler}
    return write(folder, **{"grid": {"optim.lr": LRS}, **fixed, **changes})


@pytest.fixture(scope="module")
def expected(shared_ray: Session, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The sweep with `mode: sync`, without a kill."""
    folder = tmp_path_factory.mktemp("sync")
    return train(sweep(folder, "sync"), folder)


def journal(ran: Ran) -> list[dict[str, Any]]:
    """The verdicts, by rung and in the order of the plan."""
    found = [json.loads(line) for line in (ran.folder.read("rungs.jsonl") or b"").splitlines()]
    return sorted(found, key=lambda verdict: (verdict["rung"], ran.trial_ids.index(verdict["trial_id"])))


def ends(ran: Ran) -> list[set[tuple[str, int]]]:
    """How the seeds of each setting ended."""
    found = [(status.status, status.epoch) for status in ran.statuses().values()]
    assert len(found) == len(LRS) * SEEDS
    return [set(found[i : i + SEEDS]) for i in range(0, len(found), SEEDS)]


def test_all_seeds_of_a_setting_stop_or_continue_together(expected: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(map(sorted, ends(expected))) == [
        [("finished", 4)],
        [("stopped", 1)],
        [("stopped", 1)],
        [("stopped", 2)],
    ]
    for trial_id, status in zip(expected.trial_ids, expected.statuses().values(), strict=True):
        assert len(expected.directory(trial_id).records()) == status.epoch
    said = "scheduler: 24 of 48 epochs trained; 24 saved by stopping 9 of 12 trials (3 of 4 settings)"
    assert said in expected.printed
    assert main(["status", expected.folder.location], conclude=lambda *_: None) == 0
    assert said in capsys.readouterr().out


def free_cpus() -> float:
    import ray

    return float(ray.available_resources().get("CPU", 0))


def test_no_cpu_is_lost_when_processes_are_handed_from_trial_to_trial(shared_ray: Session, tmp_path: Path) -> None:
    before = free_cpus()
    train(sweep(tmp_path, "sync"), tmp_path)
    assert until(lambda: free_cpus() == before, seconds=20)


def test_a_reservation_is_cancelled_only_once_ray_has_made_it(
    shared_ray: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    from ray.air.execution.resources.placement_group import PlacementGroupResourceManager
    from ray.air.execution.resources.request import ResourceRequest

    remove, states = ray.util.remove_placement_group, []

    def removed(group: Any) -> None:
        states.append(ray.util.placement_group_table(group)["state"])
        remove(group)

    monkeypatch.setattr(ray.util, "remove_placement_group", removed)
    monkeypatch.setattr("wsnet.sweep.tune_patches._RESERVED_WITHIN", 60.0)  # On a busy machine Ray takes longer.
    manager, request = PlacementGroupResourceManager(), ResourceRequest([{"CPU": 1}])
    with without_lost_resources():
        for _ in range(20):
            manager.request_resources(resource_request=request)
            manager.cancel_resource_request(resource_request=request)
    assert states == ["CREATED"] * 20, "without the context nearly all are pending"


def _dying_job(config: dict[str, Any], *, context: SweepContext) -> None:
    """A trial whose process is killed before it can tell of its first rung, once: `die` in the sweep's folder."""
    mark = Path(context.folder) / "die"
    if mark.exists() and mark.read_text() == config["trial_id"]:
        mark.unlink()
        train_and_log(config["trial_id"], context, lambda told: os.kill(os.getpid(), signal.SIGKILL))
    train_job(config, context=context)


def test_async_splits_no_setting_also_when_one_seed_dies_and_another_setting_fails(
    expected: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsnet.sweep.tuner.train_job", _dying_job)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "die").write_text(expected.trial_ids[1])
    cases = [{**ON_TWO_WORKERS["cases"][0], "train.batch_size": 1}, *({"optim.lr": lr} for lr in LRS[:3])]
    ran = train(sweep(tmp_path, "async", cases=cases, grid={}), tmp_path)
    assert not (tmp_path / "tiny" / "die").exists()
    assert ends(ran)[0] == {("failed", 0)}
    assert {("finished", 4)} in ends(ran) and all(len(end) == 1 for end in ends(ran))
    assert {verdict["verdict"] for verdict in journal(ran)} == {"continue", "stop"}
    assert not {verdict["trial_id"] for verdict in journal(ran)} & set(ran.trial_ids[:SEEDS])
    for trial_id in expected.trial_ids[: 3 * SEEDS]:
        both = [records(one.directory(trial_id)) for one in (ran, expected)]
        assert all(both) and all(a == b for a, b in zip(*both, strict=False))


def test_a_driver_killed_between_the_seeds_of_a_rung_decides_the_same_at_the_next_start(
    expected: Ran, cluster: str, tmp_path: Path
) -> None:
    path = sweep(tmp_path / "killed", "sync")
    command = [sys.executable, "-c", DYING_DRIVER, str(path), "--storage", str(path.parent), "--address", cluster]
    with open(tmp_path / "log.txt", "ab") as log:  # No pipe: processes that a killed driver leaves hold it open.
        start = subprocess.run(command, env=os.environ | environment(), cwd=ROOT, stdout=log, stderr=log, timeout=300)
    assert start.returncode == -signal.SIGKILL, (tmp_path / "log.txt").read_text()
    assert len((Folder(path.parent / "tiny").read("rungs.jsonl") or b"").splitlines()) == 12, "the first rung's"
    ran = train(path, path.parent)
    assert journal(ran) == journal(expected)
    assert ran.statuses() == expected.statuses()
    for trial_id in expected.trial_ids:
        assert records(ran.directory(trial_id)) == records(expected.directory(trial_id))


def test_the_workers_of_a_paused_trial_make_room_for_its_siblings(on_two_workers: Ran, tmp_path: Path) -> None:
    scheduler = {"name": "asha", "grace": 2, "eta": 2}
    changes = {**ON_TWO_WORKERS, "cases": ON_TWO_WORKERS["cases"][1:2], "seeds": 2, "scheduler": scheduler}
    ran = train(write(tmp_path, **changes), tmp_path)
    assert [(status.status, status.epoch) for status in ran.statuses().values()] == [("finished", 4)] * 2
    assert [(v["rung"], v["verdict"]) for v in journal(ran)] == [(2, "continue")] * 2
    undisturbed = on_two_workers.trial_ids[1]
    assert ran.trial_ids[0] == undisturbed
    assert records(ran.directory(undisturbed)) == records(on_two_workers.directory(undisturbed))
