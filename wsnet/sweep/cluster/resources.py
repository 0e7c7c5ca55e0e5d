"""The resources that each trial gets: what `auto` means on this cluster, and how many trials run at a time."""

import math
from dataclasses import dataclass

from wsnet.config import ConfigError, Mistake
from wsnet.config.sweep import ResourcesConfig
from wsnet.sweep.cluster.ray_session import Node

__all__ = ["Allocation", "allocate", "whole_node"]


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Resources of one worker, and how many trials run at the same time.

    Attributes:
        cpus: CPUs of one worker, possibly a fraction.
        gpus: GPUs of one worker, possibly a fraction.
        concurrent: trials that run at the same time.
    """

    cpus: float
    gpus: float
    concurrent: int

    def fits(self, node: Node) -> bool:
        """Whether a worker can run on a node."""
        return _fits(node.cpus, self.cpus) >= 1 and _fits(node.gpus, self.gpus) >= 1


def allocate(resources: ResourcesConfig, nodes: list[Node], *, devices: set[str], path: str) -> Allocation:
    """Divide a cluster between the trials of a sweep.

    Args:
        resources: the sweep's resources.
        nodes: machines of the cluster. A worker runs on one of them; the workers of a trial may run on several.
        devices: `execution.device` of the trials; `cpu` needs no GPU.
        path: name of the sweep file, for messages.

    Raises:
        ConfigError: not even one trial fits, or trials ask for CUDA where there is none.
    """
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    there = f"the cluster has {_count(len(nodes), 'node')} with {cpus:g} CPUs and {gpus:g} GPUs in all"
    asked_gpus, asked_cpus = resources.gpus_per_worker, resources.cpus_per_worker
    each_gpu = asked_gpus if asked_gpus != "auto" else 1.0 if gpus and devices != {"cpu"} else 0.0
    cuda = sorted(device for device in devices if device.startswith("cuda"))
    if cuda and not each_gpu:
        rule = f"execution.device={cuda[0]!r} needs a GPU, but {there} and a worker gets none; use 'auto' or 'cpu'"
        raise ConfigError([Mistake(path, "execution.device", rule)])
    # Two single-threaded trials outpace one with two threads; a trial on a GPU gets that GPU's share of the CPUs.
    beside = [_fits(node.cpus, node.gpus / each_gpu) for node in nodes if node.gpus] if each_gpu else []
    each_cpu = asked_cpus if asked_cpus != "auto" else max(1.0, min(beside, default=1.0))
    workers = sum(min(_fits(node.cpus, each_cpu), _fits(node.gpus, each_gpu)) for node in nodes)
    fits = int(workers // resources.workers)
    if fits < 1:
        need = f"{_count(resources.workers, 'worker')} of {each_cpu:g} CPUs and {each_gpu:g} GPUs"
        rule = f"a trial needs {need}, but {there}; ask for less, or add nodes to the cluster"
        raise ConfigError([Mistake(path, "resources", rule)])
    return Allocation(cpus=each_cpu, gpus=each_gpu, concurrent=min(fits, resources.max_concurrent or fits))


def whole_node(allocation: Allocation, nodes: list[Node]) -> Allocation:
    """The largest node as a whole for one trial at a time, so that nothing runs beside it. (A trial on several workers
    still spreads them over nodes.)"""
    large = max(nodes, key=lambda node: (node.gpus if allocation.gpus else 0.0, node.cpus))
    return Allocation(cpus=large.cpus, gpus=large.gpus if allocation.gpus else 0.0, concurrent=1)


def _fits(there: float, each: float) -> float:
    """How many times `each` fits: 0.1 fits into 1 ten times, although 1 // 0.1 is 9 in floating point."""
    return math.floor(there / each + 1e-6) if each else math.inf


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
