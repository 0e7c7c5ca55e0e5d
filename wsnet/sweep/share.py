"""What each trial gets of the cluster."""

from dataclasses import dataclass

from wsnet.config import ConfigError, Mistake
from wsnet.config.sweep import ResourcesConfig

__all__ = ["Share", "share_of"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """Resources of one worker, and how many trials run at the same time."""

    cpus: float
    gpus: float
    concurrent: int


def share_of(resources: ResourcesConfig, *, cpus: float, gpus: float, device: str, path: str) -> Share:
    """Settle what `auto` means on a cluster.

    Args:
        resources: the sweep's resources.
        cpus: CPUs of the cluster.
        gpus: GPUs of the cluster.
        device: `execution.device` of the trials; `cpu` needs no GPU.
        path: name of the sweep file, for messages.

    Raises:
        ConfigError: not even one trial fits.
    """
    asked_gpus, asked_cpus = resources.gpus_per_worker, resources.cpus_per_worker
    each_gpu = asked_gpus if asked_gpus != "auto" else 1.0 if gpus and device != "cpu" else 0.0
    # Two trials of one thread do more work than one of two threads; a GPU's trial gets the CPUs that go with its GPU.
    usual_cpus = max(1.0, cpus // (gpus / each_gpu)) if each_gpu and gpus else 1.0
    each_cpu = asked_cpus if asked_cpus != "auto" else usual_cpus
    fits = cpus // (each_cpu * resources.workers)
    if each_gpu:
        fits = min(fits, gpus // (each_gpu * resources.workers))
    if fits < 1:
        need = f"{resources.workers} workers of {each_cpu:g} CPUs and {each_gpu:g} GPUs"
        there = f"the cluster has {cpus:g} CPUs and {gpus:g} GPUs"
        raise ConfigError(
            [Mistake(path, "resources", f"a trial needs {need}, but {there}; ask for less, or join more nodes")]
        )
    concurrent = int(min(fits, resources.max_concurrent or fits))
    return Share(cpus=each_cpu, gpus=each_gpu, concurrent=concurrent)
