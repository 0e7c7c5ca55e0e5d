"""How a trial is computed: device, threads, kernels and precision, settled before the first step and kept on resume."""

import contextlib
import os
import platform
import re
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.utils.deterministic

from wsnet.config import ExecutionConfig, TrialConfig
from wsnet.errors import Error
from wsnet.layers.online_norm.kernel import load_library

__all__ = [
    "TrialError",
    "applied",
    "autocast",
    "deterministic",
    "execution_record",
    "fix_cublas_workspace",
    "is_available",
    "is_on_gpu",
    "settle",
]

_memory: Any = torch.utils.deterministic
_NO_KERNEL = "does not have a deterministic implementation"


class TrialError(Error):
    """A trial that cannot be trained as configured, or not on this machine.

    The message names the option, its value and the rule.
    """


def settle(execution: ExecutionConfig, *, cpus: int | None = None) -> ExecutionConfig:
    """Resolve `auto` for this machine, except in `deterministic` and `micro_batches`, where `auto` is a mode.

    `compile: auto` is resolved when the trial starts, by `wsnet.training.compiling`.

    On a GPU, also set the cuBLAS workspace, before anything calls cuBLAS.

    Args:
        execution: as the user wrote it.
        cpus: CPUs that the trial was given; by default those that this process may use.

    Raises:
        TrialError: the device does not exist.
    """
    threads = execution.threads if execution.threads != "auto" else cpus or _usable_cpus()
    device = execution.device if execution.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if not is_available(device):
        raise TrialError(
            f"execution.device must be a device of this machine, but got {device!r} "
            f"with {torch.cuda.device_count()} CUDA devices; use 'auto' or 'cpu'"
        )
    layout = execution.memory_format if execution.memory_format != "auto" else "channels_last"
    settled = execution.model_copy(update={"threads": threads, "device": device, "memory_format": layout})
    fix_cublas_workspace(settled)
    return settled


def is_available(device: str) -> bool:
    """Whether this machine has a settled device."""
    if torch.device(device).type != "cuda":
        return True
    return torch.cuda.is_available() and (torch.device(device).index or 0) < torch.cuda.device_count()


def is_on_gpu(execution: ExecutionConfig) -> bool:
    """Whether a settled device is a GPU."""
    return torch.device(execution.device).type == "cuda"


def _usable_cpus() -> int:
    # os.cpu_count() counts the whole machine even if a job may use only part of it; macOS has nothing better.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fix_cublas_workspace(execution: ExecutionConfig) -> None:
    """Give cuBLAS a workspace of fixed size, without which its products may not be reproducible.

    cuBLAS reads it from the environment once, at its first call in a process; an existing value is kept.
    """
    if is_on_gpu(execution) and execution.deterministic is not False:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def execution_record(config: TrialConfig, *, workers: int = 1, stack: tuple[int, ...] = ()) -> dict[str, Any]:
    """Everything beyond the configuration that can change the bits of a result.

    Args:
        config: a trial whose execution is settled.
        workers: processes that train it.
        stack: seeds that are trained side by side with it, its own among them.
    """
    on_gpu = is_on_gpu(config.execution)
    # If there is a compiler, online norm has a compiled CPU path, whose sums are rounded differently from torch's.
    compiled = (
        {"online_kernels": load_library() is not None} if config.model.norm.name == "online" and not on_gpu else {}
    )
    return {
        **compiled,
        **({"stack": list(stack)} if stack else {}),
        **config.execution.model_dump(mode="json"),
        "precision": config.train.precision,
        "workers": workers,
        "device_name": torch.cuda.get_device_name(config.execution.device) if on_gpu else platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG") if on_gpu else None,
        "python": platform.python_version(),
    }


@contextlib.contextmanager
def applied(config: TrialConfig) -> Iterator[None]:
    """Apply a trial's execution settings: thread count, deterministic kernels, TF32 only if `train.precision` says so.

    All settings are restored afterwards, since a Tune actor trains many trials in one process.

    Raises:
        TrialError: execution.deterministic is true, and an operation has no deterministic kernel on the GPU.
    """
    before = (
        torch.get_num_threads(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
    )
    tf32 = config.train.precision == "tf32"
    _set(int(config.execution.threads), config.execution.deterministic is not False, False, tf32, tf32)
    try:
        with deterministic(config.execution):
            yield
    finally:
        _set(*before)


def _set(threads: int, deterministic: bool, benchmark: bool, conv_tf32: bool, matmul_tf32: bool) -> None:
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = benchmark
    torch.backends.cudnn.allow_tf32 = conv_tf32
    torch.backends.cuda.matmul.allow_tf32 = matmul_tf32


@contextlib.contextmanager
def deterministic(execution: ExecutionConfig) -> Iterator[None]:
    """Ask torch for deterministic kernels on a GPU, as `execution.deterministic` says; restore the settings afterwards.

    Args:
        execution: settled.

    Raises:
        TrialError: `true` was asked for, and an operation has no deterministic kernel.
    """
    if not is_on_gpu(execution):
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = _memory.fill_uninitialized_memory
    asked = execution.deterministic is not False
    try:
        torch.use_deterministic_algorithms(asked, warn_only=execution.deterministic == "auto")
        _memory.fill_uninitialized_memory = False  # It takes time, and no memory is read here before it is written.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=f".*{_NO_KERNEL}", category=UserWarning)
            yield
    except RuntimeError as error:
        refused = _refused(error)
        if refused is None:
            raise
        raise refused from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        _memory.fill_uninitialized_memory = filled


def _refused(error: RuntimeError) -> TrialError | None:
    """The error for a user where torch has no deterministic kernel for an operation; None for any other error."""
    operation = re.search(rf"(\S+) {_NO_KERNEL}", str(error))
    if operation is None:
        return None
    return TrialError(
        f"execution.deterministic=true needs a deterministic kernel for every operation, but torch {torch.__version__} "
        f"has none for {operation[1]}; use 'auto', which uses those that exist, or another layer"
    )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Automatic mixed precision where `train.precision` asks for it."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()
