"""The two operators of online normalization, and the C++ kernels (`kernel.cpp`) that they run.

`forward_operator` and `backward_operator` take dense float32 or bfloat16 tensors on a CPU.
torch.compile does not trace into an operator; its schema says which tensors it updates in place.

The kernels are compiled at first use, if there is a compiler, and cached in `$XDG_CACHE_HOME/wsnet` (`~/.cache/wsnet`)
under a hash of their source, the compiler and the processor. Without a compiler, or with `WSNET_KERNELS=0`, the
operators run `formulas`: the same numbers up to rounding.
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
from ctypes import c_double, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsnet.layers.online_norm import formulas
from wsnet.layers.online_norm.formulas import Options, in_layout_of

__all__ = ["OPTIONS", "backward_operator", "forward", "forward_operator", "kernels", "serves", "takes"]

CHUNK = 2**20
"""Elements per thread in a chunk of samples, which stays in the caches between its passes. Smaller chunks are no
faster, and each chunk costs three barriers."""
TILE = 2**13
"""Elements of a tile of pixels (channels_last), which stays in the L1 cache."""
SOURCE = Path(__file__).with_suffix(".cpp")
OPTIONS = (
    "float forward_decay, float backward_decay, float eps, str error_compensation, float layer_scale_eps, float clamp"
)
"""The options, in the syntax of an operator's schema."""
FLAGS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-std=c++17", "-fno-math-errno", "-Wno-psabi")


def takes(x: Tensor) -> bool:
    """Whether the operators take this input."""
    return x.is_cpu and x.dtype in (torch.float32, torch.bfloat16)


def serves(x: Tensor, weight: Tensor | None, state: Tensor) -> bool:
    """Whether there are kernels that take these tensors."""
    parameters = state.dtype if weight is None else weight.dtype
    return x.numel() > 0 and state.dtype == parameters == torch.float32 and takes(x) and kernels() is not None


def forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    *options: Any,
    frozen: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `formulas.forward`; `frozen` means evaluation mode, for which there must be kernels."""
    if not serves(x, weight, mean):
        return formulas.forward(x, weight, bias, mean, variance, Options(*options))
    problem = _problem(x, weight, bias, Options(*options))
    out = torch.empty_like(x)
    stats = torch.empty(4, problem.N, problem.C, dtype=torch.float64)
    zeta = torch.empty(problem.N, 1, dtype=torch.float64)
    problem.frozen, problem.running_mean, problem.running_var = frozen, mean.data_ptr(), variance.data_ptr()
    problem.out, problem.stats, problem.zeta = out.data_ptr(), stats.data_ptr(), zeta.data_ptr()
    _library().online_norm_forward(ctypes.byref(problem))
    return out, stats, zeta


def backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    stats: Tensor,
    zeta: Tensor,
    u: Tensor,
    v: Tensor,
    *options: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `formulas.backward`."""
    if not serves(x, weight, u):
        return formulas.backward(grad, x, weight, bias, stats, zeta, u, v, Options(*options))
    problem = _problem(x, weight, bias, Options(*options))
    problem.chunk = max(problem.chunk // 2, 1)
    grad, grad_in = in_layout_of(x, grad), torch.empty_like(x)
    grad_weight, grad_bias = (torch.empty(problem.C, dtype=torch.float32) for _ in range(2))
    problem.grad, problem.out, problem.u, problem.v = (t.data_ptr() for t in (grad, grad_in, u, v))
    problem.stats, problem.zeta = stats.data_ptr(), zeta.data_ptr()
    problem.grad_weight, problem.grad_bias = grad_weight.data_ptr(), grad_bias.data_ptr()
    _library().online_norm_backward(ctypes.byref(problem))
    return grad_in, grad_weight, grad_bias


def _fake_forward(x: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    samples, channels = x.shape[:2]
    stats, zeta = (x.new_empty(shape, dtype=torch.float64) for shape in ((4, samples, channels), (samples, 1)))
    return torch.empty_like(x), stats, zeta


def _fake_backward(grad: Tensor, x: Tensor, weight: Tensor | None, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    dtype = torch.float32 if weight is None else weight.dtype
    return torch.empty_like(x), x.new_empty(x.shape[1], dtype=dtype), x.new_empty(x.shape[1], dtype=dtype)


def _define(name: str, tensors: str, implementation: Any, fake: Any) -> Any:
    # The kernels' memory access order follows the layout, so the compiler must not choose another one.
    tags = (torch.Tag.needs_exact_strides,)
    torch.library.define(f"wsnet::{name}", f"({tensors}, {OPTIONS}) -> (Tensor, Tensor, Tensor)", tags=tags)
    torch.library.impl(f"wsnet::{name}", "CPU", implementation)
    torch.library.register_fake(f"wsnet::{name}", fake)
    return getattr(torch.ops.wsnet, name).default


forward_operator = _define(
    "online_norm_forward",
    "Tensor x, Tensor? weight, Tensor? bias, Tensor(a!) mean, Tensor(b!) variance",
    forward,
    _fake_forward,
)
backward_operator = _define(
    "online_norm_backward",
    "Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor stats, Tensor zeta, Tensor(a!) u, Tensor(b!) v",
    backward,
    _fake_backward,
)


class Problem(ctypes.Structure):
    """The C++ struct `Problem`, field for field."""

    _fields_ = (
        *((name, c_int64) for name in ("N", "C", "D", "chunk", "tile")),
        *((name, c_int32) for name in ("channels_last", "is_bf16", "threads", "layer_scaling", "clamping", "frozen")),
        *((name, c_double) for name in ("forward_decay", "backward_decay", "eps", "layer_scale_eps", "clamp")),
        *((name, c_void_p) for name in ("x", "grad", "out", "weight", "bias", "running_mean", "running_var", "u", "v")),
        *((name, c_void_p) for name in ("stats", "zeta", "grad_weight", "grad_bias")),
    )


def _problem(x: Tensor, weight: Tensor | None, bias: Tensor | None, options: Options) -> Problem:
    """A `Problem` with the fields that forward and backward share."""
    samples, channels = x.shape[:2]
    pixels, threads = x.numel() // (samples * channels), torch.get_num_threads()
    return Problem(
        N=samples,
        C=channels,
        D=pixels,
        chunk=max(threads * CHUNK // (pixels * channels), threads),
        tile=max(TILE // channels, 16),
        channels_last=pixels == 1 or not x.is_contiguous(),
        is_bf16=x.dtype == torch.bfloat16,
        threads=threads,
        layer_scaling=options.error_compensation == "ls",
        clamping=options.error_compensation == "ac",
        forward_decay=options.forward_decay,
        backward_decay=options.backward_decay,
        eps=options.eps,
        layer_scale_eps=options.layer_scale_eps,
        clamp=options.clamp,
        x=x.data_ptr(),
        weight=None if weight is None else weight.data_ptr(),
        bias=None if bias is None else bias.data_ptr(),
    )


def _library() -> ctypes.CDLL:
    library = kernels()
    assert library is not None, "call serves() first"
    return library


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """The compiled library, or None if it is switched off or cannot be compiled."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if os.environ.get("WSNET_KERNELS") == "0" or compiler is None or not SOURCE.is_file():
        return None
    try:
        library = ctypes.CDLL(str(_compiled(compiler)))
        library.online_norm_problem_size.restype = c_int64
        assert library.online_norm_problem_size() == ctypes.sizeof(Problem)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        warnings.warn(f"online normalization runs without its CPU kernels, so slower: {reason}", stacklevel=2)
        return None
    return library


def _compiled(compiler: str) -> Path:
    """The library's file, compiled unless there is one for this source, compiler and processor."""
    what = hashlib.sha256(SOURCE.read_bytes() + " ".join((compiler, *FLAGS, _processor())).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsnet"
    path = folder / f"online_norm_{what}.so"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # Other processes may be compiling it too. No lock: a rename is atomic, and the last one wins.
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / path.name
            command = [compiler, *FLAGS, str(SOURCE), "-o", str(made)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
            made.replace(path)
    return path


def _processor() -> str:
    """What -march=native depends on, since machines with different processors may share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
