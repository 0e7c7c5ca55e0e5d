"""What a sweep needs besides time: packages, memory and disk, compared with what there is before anything starts."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from wsnet.config import ConfigError, Mistake, TrialConfig
from wsnet.config.optim import AdamConfig, AdamWConfig
from wsnet.storage import Folder
from wsnet.sweep.formatting import readable_size
from wsnet.sweep.planning.model_sizes import ModelSize
from wsnet.sweep.planning.plan import Plan

__all__ = ["check_packages", "checkpoint_bytes", "warnings_of_needs"]

_FLOAT = 4
"""Bytes of a value."""


def check_packages(plan: Plan) -> None:
    """Refuse what would make every trial fail for want of a package.

    Raises:
        ConfigError: a trial writes TensorBoard scalars, and TensorBoard is not installed.
    """
    if any(trial.config.train.tensorboard for trial in plan.trials) and importlib.util.find_spec("tensorboard") is None:
        rule = "needs the tensorboard package: pip install 'wsnet[tensorboard]', or set it to false"
        raise ConfigError([Mistake(plan.path, "train.tensorboard", rule)])


def warnings_of_needs(plan: Plan, folder: Folder) -> list[str]:
    """What cannot suffice, as sentences: the memory for a single trial, the disk for all checkpoints.

    Args:
        plan: the sweep.
        folder: the sweep's, where earlier starts may have left checkpoints.
    """
    return [*_memory(plan), *_disk(plan, folder)]


def _memory(plan: Plan) -> Iterator[str]:
    total, where = _memory_here()
    by_need = {trial.entry.name: _needed(trial.config, plan.sizes[trial.entry.setting_id]) for trial in plan.trials}
    name = max(by_need, key=lambda name: by_need[name], default=None)
    if name is not None and by_need[name] > total:
        yield (
            f"{name} needs about {readable_size(by_need[name])} of memory for its weights and activations, but {where} "
            f"has {readable_size(total)}; train.micro_batch_size with execution.micro_batches: loop, or "
            "model.checkpointing, takes less"
        )


def _needed(config: TrialConfig, size: ModelSize) -> int:
    """Bytes of weights, gradients, the optimizer's state and what the backward pass keeps of one batch."""
    images = config.train.batch_size
    if config.execution.micro_batches == "loop" and config.train.micro_batch_size is not None:
        images = config.train.micro_batch_size
    kept = 0 if config.model.checkpointing else size.activation_bytes * images
    return size.parameters * _FLOAT * (2 + _moments(config)) + kept


def _memory_here() -> tuple[int, str]:
    """Bytes of the device that trials use on this machine, and its name."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory, "the GPU"
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine"


def _disk(plan: Plan, folder: Folder) -> Iterator[str]:
    if folder.local is None:
        return
    there = set((folder / "trials").names())
    new = [trial for trial in plan.trials if trial.entry.trial_id not in there]
    needed = sum(checkpoint_bytes(trial.config, plan.sizes[trial.entry.setting_id].parameters) for trial in new)
    total, _, free = shutil.disk_usage(_existing(folder.local))
    if total and needed > free:  # /proc and the like have no size.
        yield (
            f"the checkpoints of {len(new):,} trials take about {readable_size(needed)}, but {folder.location} has "
            f"{readable_size(free)} free; --set train.keep=none keeps none"
        )


def checkpoint_bytes(config: TrialConfig, parameters: int) -> int:
    """Bytes of the checkpoints that a trial leaves: weights, the optimizer's moments, and the average of the weights.

    Args:
        config: the trial's.
        parameters: number of trained values of its model.
    """
    files = {"none": 0, "last": 1, "best": 2, "all": config.train.epochs + 2}[config.train.keep]
    copies = 1 + _moments(config) + (config.train.ema is not None)
    return files * parameters * _FLOAT * copies


def _moments(config: TrialConfig) -> int:
    """Values that the optimizer keeps for each parameter."""
    optim = config.optim
    return 2 if isinstance(optim, AdamConfig | AdamWConfig) else 1 if optim.momentum else 0


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())
