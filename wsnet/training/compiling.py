"""Compiled steps: `execution.compile: auto`, and the cache in which a setting's trials share what was compiled."""

import contextlib
import hashlib
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wsnet.config import TrialConfig
from wsnet.config.norm import OwnNormConfig
from wsnet.cpu_threads import cpu_threads
from wsnet.data.cache import cache_folder
from wsnet.layers.online_norm.kernel import processor
from wsnet.models import count_model, loss_and_logits
from wsnet.training.execution import is_on_gpu
from wsnet.training.micro_batches import plan_micro_batches
from wsnet.training.trial import Trial

__all__ = ["can_compile", "compiled", "is_worth_compiling", "with_compile_settled"]

_SAVED = 0.13
"""Part of an eager trial's time that compiled float32 steps of a ResNet-20 save on a CPU with AVX-512.

With AVX2 alone they save nothing (docs/performance.md).
"""

_PRICE = 0.7
"""Seconds that compiling takes for each of torch's operations in a forward pass, with an empty cache."""

_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
"""Environment variable with which torch is told where its compiler keeps what it compiled."""


def is_worth_compiling(seconds: float, operations: int) -> bool:
    """Whether a trial on a CPU is long enough for compiled steps to save more than compiling takes.

    Args:
        seconds: that the trial takes with eager steps.
        operations: torch's operations in a forward pass of its network.
    """
    return _SAVED * seconds > _PRICE * operations


def can_compile(config: TrialConfig) -> bool:
    """Whether `auto` may compile a trial on this machine's CPU.

    It must have AVX-512, without which compiled steps are no faster, a C++ compiler and Python's headers. A norm of the
    user's own, of which nothing is known, and `model.checkpointing` stay eager.

    Args:
        config: the trial's.
    """
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    has_tools = shutil.which(compiler) is not None and Path(sysconfig.get_path("include"), "Python.h").is_file()
    return has_tools and not config.model.checkpointing and not isinstance(config.model.norm, OwnNormConfig)


def with_compile_settled(trial: Trial) -> Trial:
    """Resolve `execution.compile: auto`, from the time of a few eager steps.

    On a GPU and with several workers `auto` stays eager.

    Args:
        trial: before its first step; its other options are settled.
    """
    execution = trial.config.execution
    if execution.compile != "auto":
        return trial
    may = trial.workers == 1 and not is_on_gpu(execution) and can_compile(trial.config)
    worth = may and is_worth_compiling(_seconds(trial), _operations(trial))
    return trial.executed(execution.model_copy(update={"compile": worth}))


def _operations(trial: Trial) -> int:
    model, facts = trial.config.model, trial.config.data.facts
    return count_model(model, facts.classes, facts.shape).operations


def _seconds(trial: Trial) -> float:
    """Seconds of a trial's training steps, from the fastest of three eager ones on a CPU, with random images."""
    config = trial.config
    train, facts, plan = config.train, config.data.facts, plan_micro_batches(config)
    with cpu_threads(int(config.execution.threads)), torch.random.fork_rng(devices=[]):
        model = trial.initial_model(plan.norm).to(memory_format=trial.placement["memory_format"]).train()
        passes = -(-train.batch_size // plan.size) if plan.size else 1
        images = torch.randn(plan.size or train.batch_size, *facts.shape)
        images = images.contiguous(memory_format=trial.placement["memory_format"])
        labels = torch.arange(len(images)) % facts.classes
        times = []
        for _ in range(3):
            began = time.perf_counter()
            loss_and_logits(model(images), labels)[0].backward()
            times.append(time.perf_counter() - began)
    return train.epochs * trial.epoch_steps.count * passes * min(times)


def compiled(model: nn.Module) -> Callable[..., Any]:
    """A network as torch compiles it at its first call, with a cache on disk that all processes share.

    Each batch size is compiled for itself. Torch's default compiles the second one, such as that of an epoch's smaller
    last batch, for all sizes: the bits would then depend on which size came first, and so on where a trial resumes.

    Args:
        model: the network; it shares its parameters with what is returned.
    """
    _share_cache()
    # One process trains many trials. What was compiled for earlier ones counts towards torch's limit of 8 variants of
    # a function, beyond which it stays eager; without it, every trial is compiled as in a process of its own.
    torch.compiler.reset()
    return torch.compile(model, dynamic=False)


def _share_cache() -> None:
    """Have torch's compiler keep its files in the user's cache folder, unless the environment names another place.

    Machines may share that folder, so each version of torch and each kind of processor has its own.
    """
    if _FOLDER in os.environ:
        return
    kind = hashlib.sha256(f"{torch.__version__} {processor()}".encode()).hexdigest()[:16]
    folder = cache_folder().absolute() / "compiled" / kind
    with contextlib.suppress(OSError):  # Torch's own place then, in the system's folder for temporary files.
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.environ[_FOLDER] = str(folder)
