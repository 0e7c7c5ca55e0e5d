"""What `auto` gives a trial: measured once, and kept in the sweep's folder."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.sweep.test_plan import plan
from tests.sweep.tiny import alone, records, train, write
from wsnet.config import TrialConfig
from wsnet.storage import Folder
from wsnet.sweep.cluster import measuring
from wsnet.sweep.cluster.auto_resources import resolve_auto
from wsnet.sweep.cluster.measuring import GpuMemory, seconds_with
from wsnet.sweep.cluster.ray_session import Node, Session
from wsnet.sweep.cluster.resources import Allocation
from wsnet.training.loop import Training

AUTO = {"max_concurrent": None, "cpus_per_worker": "auto"}
ON_A_GPU = GpuMemory(needed=10 * 10**9, free=140 * 10**9)


def never(*_: Any) -> Any:
    raise AssertionError("nothing is to be measured")


def share(tmp_path: Path, trials: int, node: Node, *, has_started: bool = False, **how: Any) -> Any:
    made = plan(tmp_path, seeds=trials, resources={**AUTO, **how.pop("resources", {})})
    how = {"seconds": never, "memory": never, **how}
    return resolve_auto(made, [node], Folder(tmp_path / "sweep"), has_started=has_started, **how)


def test_cpus_that_would_be_idle_become_threads_while_a_step_gets_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    node, times = Node(cpus=16), {1: 1.0, 2: 0.6, 4: 0.4, 8: 0.39}

    def seconds(config: TrialConfig, threads: int) -> float:
        return times[threads]

    allocation, why = share(tmp_path, 2, node, seconds=seconds)
    assert allocation == Allocation(cpus=4, gpus=0, concurrent=4)
    assert why == "4 CPUs for each worker: a step is 2.5 times as fast as with 1"
    assert share(tmp_path, 2, node, has_started=True) == (allocation, why), "kept"
    assert share(tmp_path, 5, node, has_started=True)[0].cpus == 1, "more trials leave no CPU idle"
    (tmp_path / "sweep" / "resources.json").write_text("{damaged")
    assert share(tmp_path, 2, node, has_started=True)[0].cpus == 1, "results there have one thread"
    assert share(tmp_path, 9, node)[0].cpus == 1
    assert share(tmp_path, 2, node, resources={"cpus_per_worker": 3})[0].cpus == 3


def test_small_trials_share_a_gpu_as_its_memory_and_the_cpus_allow(tmp_path: Path) -> None:
    asked = []

    def memory(config: TrialConfig) -> GpuMemory:
        asked.append(config.train.batch_size)
        return ON_A_GPU

    node = Node(cpus=16, gpus=2)
    allocation, why = share(tmp_path, 40, node, memory=memory)
    assert (allocation.gpus, allocation.cpus, allocation.concurrent) == (0.125, 1, 16)
    assert why == "8 trials on each GPU: one takes 10.0 of 140.0 GB"
    assert share(tmp_path, 40, node, has_started=True)[0] == allocation and len(asked) == 1


@pytest.mark.parametrize(
    ("trials", "node", "needed", "each"),
    [
        (6, Node(cpus=16, gpus=2), 10, 0.3333),  # three trials for each GPU
        (40, Node(cpus=8, gpus=2), 10, 0.25),  # four CPUs for each GPU
        (40, Node(cpus=64, gpus=1), 30, 0.25),  # 0.9 x 140 / 30 = 4.2
        (40, Node(cpus=64, gpus=1), 80, 1.0),
        (2, Node(cpus=64, gpus=2), 1, 1.0),
    ],
)
def test_a_gpu_is_divided_by_what_is_scarcest(
    trials: int, node: Node, needed: int, each: float, tmp_path: Path
) -> None:
    found = GpuMemory(needed=needed * 10**9, free=140 * 10**9)
    assert share(tmp_path, trials, node, memory=lambda config: found)[0].gpus == each


def test_a_gpu_whose_memory_cannot_be_measured_is_not_shared(tmp_path: Path) -> None:
    def memory(config: TrialConfig) -> GpuMemory:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    allocation, why = share(tmp_path, 4, Node(cpus=8, gpus=1), memory=memory)
    assert allocation.gpus == 1 and why is not None and why.endswith("could not be measured (CUDA out of memory.)")
    assert share(tmp_path, 4, Node(cpus=8, gpus=1), resources={"gpus_per_worker": 0.5})[0].gpus == 0.5
    (tmp_path / "sweep" / "resources.json").unlink()
    assert share(tmp_path, 4, Node(cpus=8, gpus=2), resources={"workers": 2})[0].gpus == 1


def test_a_step_is_timed_with_the_threads_asked_for(tmp_path: Path) -> None:
    (config,) = {trial.config for trial in plan(tmp_path).trials}
    before = torch.get_num_threads()
    assert seconds_with(config, 2) > 0 and torch.get_num_threads() == before


def test_the_memory_of_a_gpu_is_what_the_trial_and_its_process_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(tmp_path, train={"epochs": 4})
    free = iter([(100, 140), (60, 140)])  # The process takes 40, of which torch keeps 30; it had 35 at the peak.
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: next(free))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 30)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 35)
    monkeypatch.setattr(measuring, "_GPU", "cpu")
    steps: list[int] = []
    train_step = Training.train_step
    monkeypatch.setattr(Training, "train_step", lambda *a, **k: steps.append(1) or train_step(*a, **k))
    needed = measuring._peak(made.trials[0].config.model_dump_json(), str(tmp_path), False)
    assert needed == GpuMemory(needed=45, free=100)
    assert len(steps) == 2


@pytest.mark.slow
def test_a_sweep_keeps_what_it_measured_and_trains_with_it(tmp_path: Path, shared_ray: Session) -> None:
    ran = train(write(tmp_path, resources={"cpus_per_worker": "auto"}), tmp_path)
    kept = json.loads((tmp_path / "tiny" / "resources.json").read_bytes())
    directory = ran.directory(ran.trial_ids[0])
    execution = directory.execution()
    assert execution is not None and execution["threads"] == kept["cpus"] in (1, 2)
    assert f"1 worker of {kept['cpus']} CPU each" in ran.printed
    assert records(directory) == alone(directory, tmp_path)
