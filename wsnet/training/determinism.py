"""`execution.deterministic`: GPU kernels that give the same bits each time.

On CPUs nothing is switched: the kernels used here repeat to the bit as they are. docs/execution.md says what is known
of the operations on GPUs.
"""

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch.utils.deterministic

from wsnet.config import ExecutionConfig
from wsnet.training.errors import TrialError

__all__ = ["deterministic", "fix_cublas_workspace", "is_on_gpu"]

_memory: Any = torch.utils.deterministic
_NO_KERNEL = "does not have a deterministic implementation"


def is_on_gpu(execution: ExecutionConfig) -> bool:
    """Whether a settled device is a GPU."""
    return torch.device(execution.device).type == "cuda"


def fix_cublas_workspace(execution: ExecutionConfig) -> None:
    """Give cuBLAS a workspace of fixed size, without which its products need not repeat.

    cuBLAS reads it from the environment once, at its first call in a process; a value that is there is left.
    """
    if is_on_gpu(execution) and execution.deterministic is not False:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextlib.contextmanager
def deterministic(execution: ExecutionConfig) -> Iterator[None]:
    """Ask torch for deterministic kernels on a GPU, as `execution.deterministic` says; put back what was before.

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
        _memory.fill_uninitialized_memory = False  # It takes time, and nothing here reads what it has not written.
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
    """What a user is told where torch's strict form refuses an operation; None where it is another error."""
    operation = re.search(rf"(\S+) {_NO_KERNEL}", str(error))
    if operation is None:
        return None
    return TrialError(
        f"execution.deterministic=true needs a deterministic kernel for every operation, but torch {torch.__version__} "
        f"has none for {operation[1]}; use 'auto', which takes those that there are, or another layer"
    )
