"""The two operators of online normalization on CPUs, which `kernel.cpp` implements in C++.

`forward_operator` and `backward_operator` take the tensors for which `has_kernels_for` is true.
torch.compile does not trace into an operator; its schema says which tensors it updates in place.

The C++ is compiled at first use, if there is a compiler, and cached in `$XDG_CACHE_HOME/wsnet` (`~/.cache/wsnet`) under
a hash of its source, torch's version, the compiler and the processor. Without a compiler, or with `WSNET_KERNELS=0`,
the layers run `formulas`: the same numbers up to rounding.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["backward_operator", "forward_operator", "has_kernels_for", "load_library", "processor"]

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-std=c++17", "-fno-math-errno", "-Wno-psabi")
TORCH = Path(torch.__file__).parent


def has_kernels_for(x: Tensor, weight: Tensor | None, state: Tensor) -> bool:
    """Whether the operators take these tensors: x (N, C, *), contiguous or channels_last, float32 or bfloat16."""
    parameters = state.dtype if weight is None else weight.dtype
    takes = x.is_cpu and x.dtype in (torch.float32, torch.bfloat16) and state.dtype == parameters == torch.float32
    return takes and load_library() is not None


def _empty_outputs(x: Tensor, *others: Any, replicates: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    samples, channels = x.shape[:2]
    shapes = (4, samples, channels), (samples, replicates)
    stats, zeta = (x.new_empty(shape, dtype=torch.float64) for shape in shapes)
    return torch.empty_like(x), stats, zeta


def _empty_gradients(grad: Tensor, x: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    grad_weight, grad_bias = (x.new_empty(x.shape[1], dtype=torch.float32) for _ in range(2))
    return torch.empty_like(x), grad_weight, grad_bias


def _define(name: str, arguments: str, fake: Any) -> Any:
    # The kernels' memory access order follows the layout, so the compiler must not choose another one.
    tags = (torch.Tag.needs_exact_strides,)
    torch.library.define(f"wsnet::{name}", f"({arguments}) -> (Tensor, Tensor, Tensor)", tags=tags)
    torch.library.register_fake(f"wsnet::{name}", fake)
    return getattr(torch.ops.wsnet, name).default


forward_operator = _define(
    "online_norm_forward",
    "Tensor x, Tensor? weight, Tensor? bias, Tensor(a!) running_mean, Tensor(b!) running_var,"
    " float forward_decay, float eps, str error_compensation, bool frozen=False, *, int replicates=1",
    _empty_outputs,
)
"""As `formulas.forward`; `frozen` means evaluation mode, in which the running statistics stay."""
backward_operator = _define(
    "online_norm_backward",
    "Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor stats, Tensor zeta, Tensor(a!) u, Tensor(b!) v,"
    " float backward_decay, str error_compensation, int replicates=1",
    _empty_gradients,
)
"""As `formulas.backward`."""


@functools.cache
def load_library() -> ctypes.CDLL | None:
    """The compiled library, which implements the operators; None if it is switched off or cannot be compiled."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if os.environ.get("WSNET_KERNELS") == "0" or compiler is None or not SOURCE.is_file():
        return None
    try:
        return ctypes.CDLL(str(_compiled(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        warnings.warn(f"online normalization runs without its CPU kernels, so slower: {reason}", stacklevel=2)
        return None


def _compiled(compiler: str) -> Path:
    """The library's file, compiled unless there is one for this source, torch, compiler and processor."""
    depends_on = " ".join((torch.__version__, compiler, *FLAGS, processor()))
    what = hashlib.sha256(SOURCE.read_bytes() + depends_on.encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsnet"
    path = folder / f"online_norm_{what}.so"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # Other processes may be compiling it too. No lock: a rename is atomic, and the last one wins.
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / path.name
            of_torch = (f"-I{TORCH / 'include'}", f"-L{TORCH / 'lib'}", "-ltorch_cpu")
            command = [compiler, *FLAGS, str(SOURCE), *of_torch, "-o", str(made)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
            made.replace(path)
    return path


def processor() -> str:
    """What -march=native depends on, since machines with different processors may share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
