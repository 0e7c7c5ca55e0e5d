"""Resolves `auto` by measuring: threads where CPUs would be idle, and how many trials share a GPU.

Measured when the sweep's first trials start and kept in the sweep's folder, so that later starts share alike: the
number of threads changes the last bits of a result.
"""

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wsnet.config import TrialConfig
from wsnet.config.errors import counted
from wsnet.storage import Folder
from wsnet.sweep.cluster.measuring import GpuMemory
from wsnet.sweep.cluster.ray_session import Node
from wsnet.sweep.cluster.resources import Allocation, allocate
from wsnet.sweep.planning.plan import Plan, PlannedTrial

__all__ = ["resolve_auto"]

_FILE = "resources.json"

_MOST_ON_A_GPU = 8
"""Trials that share a GPU: more would wait for each other."""

_FILLED = 0.9
"""Part of a GPU's free memory that is given away."""

_WORTH = 1.2
"""How much faster a trial must be with more threads."""


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What was measured when the sweep's first trials started.

    Attributes:
        cpus: of a worker, if they were measured.
        gpus: of a worker, if they were measured.
        why: what the measurement said, if it changed anything.
    """

    cpus: int | None = None
    gpus: float | None = None
    why: str | None = None


def resolve_auto(
    plan: Plan,
    nodes: list[Node],
    folder: Folder,
    *,
    has_started: bool,
    seconds: Callable[[TrialConfig, int], float],
    memory: Callable[[TrialConfig], GpuMemory],
) -> tuple[Allocation, str | None]:
    """Divide a cluster between the trials of a plan, measuring what `auto` leaves open.

    Args:
        plan: the plan.
        nodes: machines of the cluster.
        folder: the sweep's folder.
        has_started: whether some trial has been started before; then nothing is measured any more.
        seconds: seconds of a training step of a trial with a number of CPU threads.
        memory: what a trial needs of a GPU.

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

    plain, kept = allocated(), _read(folder)
    if kept is None and not has_started:
        kept = _measured(plan, plain, nodes, seconds, memory)
        if kept is not None:
            folder.write(_FILE, (json.dumps(asdict(kept)) + "\n").encode())
    if kept is None:
        return plain, None
    if plain.gpus and resources.gpus_per_worker == "auto" and kept.gpus is not None:
        return allocated(gpus_per_worker=kept.gpus), kept.why
    cpus = kept.cpus if not plain.gpus and resources.cpus_per_worker == "auto" else None
    if cpus is not None and cpus <= _spare(plan, nodes):
        return allocated(cpus_per_worker=cpus), kept.why
    return plain, None


def _measured(
    plan: Plan,
    plain: Allocation,
    nodes: list[Node],
    seconds: Callable[[TrialConfig, int], float],
    memory: Callable[[TrialConfig], GpuMemory],
) -> _Kept | None:
    """What to keep; None if nothing is left open."""
    resources = plan.sweep.config.resources
    if plain.gpus:
        if resources.gpus_per_worker != "auto" or resources.workers > 1:
            return None
        try:
            return _parts_of_a_gpu(plan, nodes, memory(_largest(plan)))
        except Exception as error:  # Whatever is wrong will be a trial's failure, with its reason.
            text = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            why = f"1 trial on each GPU: how much memory one takes could not be measured ({text[0]})"
            return _Kept(gpus=1.0, why=why)
    spare = _spare(plan, nodes)
    return _threads(_largest(plan), spare, seconds) if resources.cpus_per_worker == "auto" and spare > 1 else None


def _threads(config: TrialConfig, spare: int, seconds: Callable[[TrialConfig, int], float]) -> _Kept:
    """The number of threads, powers of two up to `spare`, beyond which a step gains less than a fifth."""
    threads, alone = 1, seconds(config, 1)
    best = alone
    while 2 * threads <= spare and best / (faster := seconds(config, 2 * threads)) >= _WORTH:
        threads, best = 2 * threads, faster
    why = f"{threads} CPUs for each worker: a step is {alone / best:.1f} times as fast as with 1"
    return _Kept(cpus=threads, why=why if threads > 1 else None)


def _parts_of_a_gpu(plan: Plan, nodes: list[Node], found: GpuMemory) -> _Kept:
    """As many trials on a GPU as fit into its memory, and as there are CPUs and trials for each."""
    gpus = sum(node.gpus for node in nodes)
    cpus = min(node.cpus / node.gpus for node in nodes if node.gpus)
    fit = int(_FILLED * found.free / max(found.needed, 1))
    number = max(1, min(fit, int(cpus), _MOST_ON_A_GPU, math.ceil(len(plan.trials) / gpus)))
    why = f"{counted(number, 'trial')} on each GPU: one takes {found.needed / 1e9:.1f} of {found.free / 1e9:.1f} GB"
    # Ray divides resources by 10,000.
    return _Kept(gpus=math.floor(1e4 / number) / 1e4, why=why if number > 1 else None)


def _largest(plan: Plan) -> TrialConfig:
    """The trial with the largest activations at a time."""

    def activations(trial: PlannedTrial) -> int:
        train = trial.config.train
        return plan.sizes[trial.entry.setting_id].activation_bytes * (train.micro_batch_size or train.batch_size)

    return max(plan.trials, key=activations).config


def _spare(plan: Plan, nodes: Sequence[Node]) -> int:
    """CPUs that each worker could have, if all trials ran at the same time."""
    resources = plan.sweep.config.resources
    trials = min(len(plan.trials), resources.max_concurrent or len(plan.trials))
    on_a_node = math.ceil(trials * resources.workers / len(nodes))
    here = len(os.sched_getaffinity(0))  # Where it is measured.
    return int(min(here, *(node.cpus for node in nodes)) // on_a_node)


def _read(folder: Folder) -> _Kept | None:
    """What an earlier start has measured; None if it has not, or the file is damaged."""
    try:
        return _Kept(**json.loads(folder.read(_FILE) or b"null"))
    except (ValueError, TypeError):
        return None
