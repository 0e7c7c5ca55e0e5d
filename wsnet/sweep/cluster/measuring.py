"""Measures what a trial needs by running a few steps: time of a step on CPU threads, memory of a GPU."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from wsnet.config import TrialConfig
from wsnet.cpu_threads import cpu_threads
from wsnet.models import build
from wsnet.sweep.planning.stopwatch import step_seconds
from wsnet.sweep.trials.context import images_here

__all__ = ["GpuMemory", "gpu_memory", "is_faster_stacked", "seconds_with"]

_MOST_IMAGES = 128
"""Images of a step that is timed."""

_GPU = "cuda"

_WORTH_STACKING = 0.9
"""Part of the time one after the other that seeds side by side may take at most."""

_faster: dict[str, bool] = {}


@dataclass(frozen=True, kw_only=True)
class GpuMemory:
    """What a trial needs of a GPU.

    Attributes:
        needed: bytes at the peak, with what the process itself takes.
        free: bytes that were free before.
    """

    needed: int
    free: int


def seconds_with(config: TrialConfig, threads: int) -> float:
    """Seconds of a training step on this machine's CPU, with random images.

    Args:
        config: the trial.
        threads: number of CPU threads.
    """
    facts, size = config.data.facts, min(config.train.micro_batch_size or config.train.batch_size, _MOST_IMAGES)
    model = build(config.model, classes=facts.classes, shape=facts.shape).to(memory_format=torch.channels_last)
    with cpu_threads(threads):
        return step_seconds(model, torch.randn(size, *facts.shape), facts.classes)


def is_faster_stacked(config: TrialConfig, seeds: int, *, gpus: float = 0.0) -> bool:
    """Whether a step of so many seeds side by side is faster on this machine's CPU than a step of each in turn.

    Tried with random images on one thread, once for each architecture and batch size, whatever the norm and weights.

    Args:
        config: one of the trials.
        seeds: how many.
        gpus: that a trial gets; on a GPU it is not tried, and False.
    """
    if gpus and config.execution.device != "cpu":
        return False
    network = config.model.model_dump(mode="json", exclude={"norm", "weight"})
    size = min(config.train.micro_batch_size or config.train.batch_size, _MOST_IMAGES)
    key = json.dumps([network, config.data.facts.shape, size, seeds])
    if key not in _faster:
        alone, together = (_stacked_seconds(config, size, replicates) for replicates in (1, seeds))
        _faster[key] = together < _WORTH_STACKING * seeds * alone
    return _faster[key]


def _stacked_seconds(config: TrialConfig, size: int, replicates: int) -> float:
    """Seconds of a forward and a backward pass of replicates side by side."""
    facts = config.data.facts
    model = build(config.model, classes=facts.classes, shape=facts.shape, replicates=replicates)
    channels, *pixels = facts.shape
    images = torch.randn(size, channels * replicates, *pixels)
    with cpu_threads(1):
        return step_seconds(model.to(memory_format=torch.channels_last), images, facts.classes)


def gpu_memory(config: TrialConfig, data_root: Path, *, is_data_root_of_node: bool) -> GpuMemory:
    """What a trial needs of a GPU: tried on one of the cluster, which nothing else uses meanwhile.

    Args:
        config: the trial.
        data_root: folder of the image sets.
        is_data_root_of_node: whether $WSNET_DATA of the node with the GPU comes before `data_root`.
    """
    import ray

    tried = ray.remote(num_gpus=1, num_cpus=0, max_retries=0)(_peak)
    found: GpuMemory = ray.get(tried.remote(config.model_dump_json(), str(data_root.absolute()), is_data_root_of_node))
    return found


def _peak(config_json: str, data_root: str, is_data_root_of_node: bool) -> GpuMemory:
    """Train two steps of a trial on this process's GPU, evaluate, and read the peak of its memory."""
    from wsnet.training import Trial
    from wsnet.training.loop import Training

    free, _ = torch.cuda.mem_get_info()
    config = TrialConfig.model_validate_json(config_json)
    train = config.train.model_copy(update={"steps_per_epoch": 2, "epochs": 1})
    execution = config.execution.model_copy(update={"device": _GPU})
    tried = config.model_copy(update={"train": train, "execution": execution})
    Training(Trial.prepare(tried, root=images_here(data_root, is_data_root_of_node), check=False)).train_epoch()
    left, _ = torch.cuda.mem_get_info()
    own = max(0, free - left - torch.cuda.memory_reserved())  # The process's context, and kernels.
    return GpuMemory(needed=torch.cuda.max_memory_reserved() + own, free=free)
