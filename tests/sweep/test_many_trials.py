"""What lets a sweep have thousands of trials, each as quick as the first; benchmarks/scale.py measures it."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.sweep.tiny import train, write
from wsnet.sweep.callback import SweepCallback
from wsnet.sweep.cluster.ray_session import Session
from wsnet.sweep.schedulers.trial_scheduler import InOrder, JournaledAsha
from wsnet.sweep.trials.context import SweepContext, sharing


def context(**more: Any) -> SweepContext:
    fields: dict[str, Any] = {"folder": "", "data_root": "", "configs": {"a": "1", "b": "2"}, "settings": {"a": "s"}}
    return SweepContext(**fields, workers=1, cpus=1, gpus=0, max_failures=0, scratch="", **more)


@pytest.mark.slow
def test_a_process_reads_the_context_once(shared_ray: Session) -> None:
    seen: list[SweepContext] = []

    def train_job(config: dict[str, Any], *, context: SweepContext) -> None:
        seen.append(context)

    job = sharing(train_job, context())
    job({"trial_id": "a"})
    job({"trial_id": "b"})
    assert seen[0] == context() and seen[0] is seen[1] and job.__name__ == "train_job"


def test_workers_get_only_the_part_for_their_trial() -> None:
    part = context(rungs={"a": (1, 2), "b": (3,)}).of("b")
    assert (part.configs, part.settings, part.rungs) == ({"b": "2"}, {}, {"b": (3,)})


def test_the_next_trial_is_the_first_that_waits_whatever_its_number() -> None:
    def chosen(**statuses: str) -> str | None:
        trials = [SimpleNamespace(trial_id=name, status=status) for name, status in statuses.items()]
        controller = SimpleNamespace(get_live_trials=lambda: trials, get_trials=None)
        found = InOrder().choose_trial_to_run(controller)
        return None if found is None else str(found.trial_id)

    assert chosen(t_99999="PENDING", t_100000="PENDING", t_00003="PAUSED", t_00001="RUNNING") == "t_99999"
    assert chosen(t_00003="PAUSED", t_00001="RUNNING") == "t_00003"
    assert chosen(t_00001="RUNNING") is None
    assert JournaledAsha.choose_trial_to_run is InOrder.choose_trial_to_run


@pytest.mark.slow
def test_a_ray_that_is_started_here_keeps_no_metrics_by_the_names_of_tasks(shared_ray: Session) -> None:
    assert os.environ["RAY_enable_metrics_collection"] == "0"  # noqa: SIM112


@pytest.mark.slow
def test_trials_start_in_the_order_of_their_seeds_and_tune_keeps_little_of_those_that_ended(
    shared_ray: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.tune.execution.tune_controller import TuneController

    ended: list[Any] = []

    def on_trial_complete(self: SweepCallback, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        assert trial.metric_analysis and trial.last_result["epoch"] == 1
        ended.append(trial)
        complete(self, iteration, trials, trial, **info)

    def save_to_dir(self: TuneController) -> None:
        saved.append(len(ended))
        save(self)

    saved: list[int] = []
    complete, save = SweepCallback.on_trial_complete, TuneController.save_to_dir
    monkeypatch.setattr(TuneController, "save_to_dir", save_to_dir)
    monkeypatch.setattr(SweepCallback, "on_trial_complete", on_trial_complete)
    path = write(tmp_path, seeds=3, grid={"optim.lr": [0.1, 0.2]}, train={"epochs": 1}, resources={"max_concurrent": 1})
    ran = train(path, tmp_path)
    assert ran.folder.local is not None
    begun = {t.entry.name: (ran.folder.local / "trials" / t.entry.trial_id / "execution.json") for t in ran.plan.trials}
    order = sorted(begun, key=lambda name: begun[name].stat().st_mtime_ns)
    assert [name.rpartition("-s")[2] for name in order] == ["0", "0", "1", "1", "2", "2"]
    assert order == sorted(order, key=lambda name: (name.rpartition("-s")[2], name))
    assert len(ended) == 6 and saved == [0], "Tune writes its state when it starts, and not again"
    assert not any(t.metric_analysis or t.metric_n_steps or t._default_result_or_future for t in ended)
