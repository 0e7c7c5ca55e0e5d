"""What `auto` gives each trial where a measurement decides: threads where CPUs would be idle, a part of a GPU.

Measured when the sweep's first trials start and kept in the sweep's folder, so that later starts share alike: the
number of threads changes the last bits of a result.
"""

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsnet.config import TrialConfig
from wsnet.config.errors import counted
from wsnet.storage import Folder
from wsnet.sweep.plan import Plan
from wsnet.sweep.ray_session import Node
from wsnet.sweep.resources import Allocation, allocate

__all__ = ["GpuMemory", "packed", "step_seconds", "tried_on_a_gpu"]

_FILE = "resources.json"

_MOST_ON_A_GPU = 8
"""Trials that share a GPU: more would wait for each other."""

_FILLED = 0.9
"""Part of a GPU's free memory that is given away."""

_WORTH = 1.2
"""How much faster a trial must be with more threads."""


@dataclass(frozen=True, kw_only=True)
class GpuMemory:
    """What a trial needs of a GPU.

    Attributes:
        needed: bytes at the peak, with what the process itself takes.
        free: bytes that were free before.
    """

    needed: int
    free: int


def packed(
    plan: Plan,
    nodes: list[Node],
    folder: Folder,
    *,
    has_started: bool,
    seconds: "Callable[[TrialConfig, int], float] | None" = None,
    memory: "Callable[[TrialConfig], GpuMemory]",
) -> tuple[Allocation, str | None]:
    """Divide a cluster between the trials of a plan, measuring what `auto` leaves open.

    Args:
        plan: the plan.
        nodes: machines of the cluster.
        folder: the sweep's folder.
        has_started: whether some trial has been started before; then nothing is measured any more.
        seconds: time of a training step of a trial with a number of threads; by default `step_seconds`.
        memory: what a trial needs of a GPU, such as `tried_on_a_gpu`.

    Returns:
        what each trial gets, and a line that says why if a measurement decided it.

    Raises:
        ConfigError: see `allocate`.
    """
    resources = plan.sweep.config.resources
    devices = {trial.config.execution.device for trial in plan.trials}

    def allocated(**update: Any) -> Allocation:
        asked = resources.model_copy(update=update)
        return allocate(asked, nodes, devices=devices, path=plan.path)

    plain = allocated()
    kept = _kept(folder)
    if kept is None and not has_started:
        kept, why = _measured(plan, plain, nodes, seconds or step_seconds, memory)
        if kept:
            folder.write(_FILE, (json.dumps({**kept, "why": why}) + "\n").encode())
    else:
        why = (kept or {}).pop("why", None)
    if not kept:
        return plain, None
    if plain.gpus and resources.gpus_per_worker == "auto" and "gpus" in kept:
        return allocated(gpus_per_worker=kept["gpus"]), why
    if not plain.gpus and resources.cpus_per_worker == "auto" and kept.get("cpus", 1) <= _spare(plan, nodes):
        return allocated(cpus_per_worker=kept["cpus"]), why
    return plain, None


def step_seconds(config: TrialConfig, threads: int) -> float:
    """Time of a training step on this machine's CPU, with random images; the best of three."""
    import torch

    from wsnet.models import build, loss_and_logits

    facts, size = config.data.facts, min(config.train.micro_batch_size or config.train.batch_size, 128)
    model = build(config.model, classes=facts.classes, shape=facts.shape).to(memory_format=torch.channels_last)
    images = torch.randn(size, *facts.shape).contiguous(memory_format=torch.channels_last)
    labels, times, before = torch.arange(size) % facts.classes, [], torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(4):
            began = time.perf_counter()
            loss_and_logits(model(images), labels)[0].backward()
            times.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
    return min(times[1:])


def tried_on_a_gpu(config: TrialConfig, data_root: Path) -> GpuMemory:
    """What a trial needs of a GPU: tried on one of the cluster, which nothing else uses meanwhile."""
    import ray

    tried = ray.remote(num_gpus=1, num_cpus=0, max_retries=0)(_gpu_memory)
    found: GpuMemory = ray.get(tried.remote(config.model_dump_json(), str(data_root.absolute())))
    return found


def _gpu_memory(text: str, data_root: str) -> GpuMemory:
    """Train two steps of a trial on this process's GPU, evaluate, and read the peak of its memory."""
    import torch

    from wsnet.training import Trial
    from wsnet.training.loop import Training

    free, _ = torch.cuda.mem_get_info()
    config = TrialConfig.model_validate_json(text)
    train = config.train.model_copy(update={"steps_per_epoch": 2, "epochs": 1})
    execution = config.execution.model_copy(update={"device": "cuda"})
    tried = config.model_copy(update={"train": train, "execution": execution})
    Training(Trial.prepare(tried, root=Path(data_root), check=False)).train_epoch()
    left, _ = torch.cuda.mem_get_info()
    own = max(0, free - left - torch.cuda.memory_reserved())  # The process's context, and kernels.
    return GpuMemory(needed=torch.cuda.max_memory_reserved() + own, free=free)


def _measured(
    plan: Plan,
    plain: Allocation,
    nodes: list[Node],
    seconds: Callable[[TrialConfig, int], float],
    memory: Callable[[TrialConfig], GpuMemory],
) -> tuple[dict[str, Any], str | None]:
    """What to keep: `cpus` or `gpus` of a worker, and why; nothing if there is nothing to gain."""
    resources = plan.sweep.config.resources
    if plain.gpus:
        if resources.gpus_per_worker != "auto" or resources.workers > 1:
            return {}, None
        try:
            return _parts_of_a_gpu(plan, nodes, memory(_largest(plan)))
        except Exception as error:  # Whatever is wrong will be a trial's failure, with its reason.
            text = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            return {"gpus": 1.0}, f"1 trial on each GPU: how much memory one takes could not be measured ({text[0]})"
    if resources.cpus_per_worker != "auto" or (spare := _spare(plan, nodes)) < 2:
        return {}, None
    return _threads(_largest(plan), spare, seconds)


def _threads(
    config: TrialConfig, spare: int, seconds: Callable[[TrialConfig, int], float]
) -> tuple[dict[str, Any], str | None]:
    """The number of threads, powers of two up to `spare`, beyond which a step gains less than a fifth."""
    threads, alone = 1, seconds(config, 1)
    best = alone
    while 2 * threads <= spare and best / (faster := seconds(config, 2 * threads)) >= _WORTH:
        threads, best = 2 * threads, faster
    if threads == 1:
        return {"cpus": 1}, None
    return {"cpus": threads}, f"{threads} CPUs for each worker: a step is {alone / best:.1f} times as fast as with 1"


def _parts_of_a_gpu(plan: Plan, nodes: list[Node], found: GpuMemory) -> tuple[dict[str, Any], str | None]:
    gpus = sum(node.gpus for node in nodes)
    cpus = min(node.cpus / node.gpus for node in nodes if node.gpus)
    fit = int(_FILLED * found.free / max(found.needed, 1))
    number = max(1, min(fit, int(cpus), _MOST_ON_A_GPU, math.ceil(len(plan.trials) / gpus)))
    if number == 1:
        return {"gpus": 1.0}, None
    why = f"{counted(number, 'trial')} on each GPU: one takes {found.needed / 1e9:.1f} of {found.free / 1e9:.1f} GB"
    return {"gpus": math.floor(1e4 / number) / 1e4}, why  # Ray divides resources by 10,000.


def _largest(plan: Plan) -> TrialConfig:
    """The trial with the largest activations at a time."""

    def activations(trial: Any) -> int:
        train = trial.config.train
        return int(plan.sizes[trial.entry.setting_id].activation_bytes * (train.micro_batch_size or train.batch_size))

    config: TrialConfig = max(plan.trials, key=activations).config
    return config


def _spare(plan: Plan, nodes: Sequence[Node]) -> int:
    """CPUs that each worker could have, if all trials ran at the same time."""
    resources = plan.sweep.config.resources
    trials = min(len(plan.trials), resources.max_concurrent or len(plan.trials))
    on_a_node = math.ceil(trials * resources.workers / len(nodes))
    here = len(os.sched_getaffinity(0))  # Where it is measured.
    return int(min(here, *(node.cpus for node in nodes)) // on_a_node)


def _kept(folder: Folder) -> dict[str, Any] | None:
    """What an earlier start has measured; None if it has not, or the file is damaged."""
    try:
        found = json.loads(folder.read(_FILE) or b"null")
        return dict(found) if isinstance(found, dict) else None
    except ValueError:
        return None
