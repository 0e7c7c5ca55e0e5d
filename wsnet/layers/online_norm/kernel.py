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
from collections.abc import Mapping
from ctypes import c_double, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsnet.layers.online_norm import formulas
from wsnet.layers.online_norm.formulas import Options, in_layout_of

__all__ = [
    "OPTIONS_SCHEMA",
    "backward_operator",
    "evaluate",
    "forward_operator",
    "has_kernel_for",
    "load_library",
    "operator_takes",
]

CHUNK = 2**20
"""Elements per thread in a chunk of samples, which stays in the caches between its passes. Smaller chunks are no
faster, and each chunk costs three barriers."""
TILE = 2**13
"""Elements of a tile of pixels (channels_last), which stays in the L1 cache."""
SOURCE = Path(__file__).with_suffix(".cpp")
OPTIONS_SCHEMA = (
    "float forward_decay, float backward_decay, float eps, str error_compensation, float layer_scale_eps, float clamp"
)
"""The options, in the syntax of an operator's schema."""
FLAGS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-std=c++17", "-fno-math-errno", "-Wno-psabi")


def operator_takes(x: Tensor) -> bool:
    """Whether the operators take this input."""
    return x.is_cpu and x.dtype in (torch.float32, torch.bfloat16)


def has_kernel_for(x: Tensor, weight: Tensor | None, state: Tensor) -> bool:
    """Whether there are kernels that take these tensors."""
    parameters = state.dtype if weight is None else weight.dtype
    takes = x.numel() > 0 and state.dtype == parameters == torch.float32 and operator_takes(x)
    return takes and load_library() is not None


def evaluate(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor, running_var: Tensor, options: Options
) -> Tensor:
    """As `formulas.evaluate`, but without a gradient; only where `has_kernel_for` is true."""
    return _run_forward(x, weight, bias, running_mean, running_var, options, frozen=True)[0]


def _forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor, running_var: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    run = _run_forward if has_kernel_for(x, weight, running_mean) else formulas.forward
    return run(x, weight, bias, running_mean, running_var, Options(*options))


def _backward(
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
    if not has_kernel_for(x, weight, u):
        return formulas.backward(grad, x, weight, bias, stats, zeta, u, v, Options(*options))
    grad, gradients = in_layout_of(x, grad), _empty_gradients(grad, x, weight)
    given = {"grad": grad, "x": x, "weight": weight, "bias": bias, "stats": stats, "zeta": zeta, "u": u, "v": v}
    _run("backward", Options(*options), given | dict(zip(("out", "grad_weight", "grad_bias"), gradients, strict=True)))
    return gradients


def _run_forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    options: Options,
    frozen: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `formulas.forward`; `frozen` means evaluation mode."""
    outputs = _empty_outputs(x)
    given = {"x": x, "weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    _run("forward", options, given | dict(zip(("out", "stats", "zeta"), outputs, strict=True)), frozen=frozen)
    return outputs


def _empty_outputs(x: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    samples, channels = x.shape[:2]
    stats, zeta = (x.new_empty(shape, dtype=torch.float64) for shape in ((4, samples, channels), (samples, 1)))
    return torch.empty_like(x), stats, zeta


def _empty_gradients(grad: Tensor, x: Tensor, weight: Tensor | None, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    dtype = torch.float32 if weight is None else weight.dtype
    return torch.empty_like(x), x.new_empty(x.shape[1], dtype=dtype), x.new_empty(x.shape[1], dtype=dtype)


def _define(name: str, tensors: str, implementation: Any, fake: Any) -> Any:
    # The kernels' memory access order follows the layout, so the compiler must not choose another one.
    tags = (torch.Tag.needs_exact_strides,)
    torch.library.define(f"wsnet::{name}", f"({tensors}, {OPTIONS_SCHEMA}) -> (Tensor, Tensor, Tensor)", tags=tags)
    torch.library.impl(f"wsnet::{name}", "CPU", implementation)
    torch.library.register_fake(f"wsnet::{name}", fake)
    return getattr(torch.ops.wsnet, name).default


forward_operator = _define(
    "online_norm_forward",
    "Tensor x, Tensor? weight, Tensor? bias, Tensor(a!) running_mean, Tensor(b!) running_var",
    _forward,
    _empty_outputs,
)
backward_operator = _define(
    "online_norm_backward",
    "Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor stats, Tensor zeta, Tensor(a!) u, Tensor(b!) v",
    _backward,
    _empty_gradients,
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


def _run(direction: str, options: Options, tensors: Mapping[str, Tensor | None], *, frozen: bool = False) -> None:
    """Call a kernel with tensors by their names in `Problem`."""
    x, library, threads = tensors["x"], load_library(), torch.get_num_threads()
    assert x is not None and library is not None, "call has_kernel_for first"
    samples, channels = x.shape[:2]
    pixels = x.numel() // (samples * channels)
    chunk = max(threads * CHUNK // (pixels * channels), threads)
    problem = Problem(
        N=samples,
        C=channels,
        D=pixels,
        chunk=chunk if direction == "forward" else max(chunk // 2, 1),
        tile=max(TILE // channels, 16),
        channels_last=pixels == 1 or not x.is_contiguous(),
        is_bf16=x.dtype == torch.bfloat16,
        threads=threads,
        layer_scaling=options.error_compensation == "ls",
        clamping=options.error_compensation == "ac",
        frozen=frozen,
        forward_decay=options.forward_decay,
        backward_decay=options.backward_decay,
        eps=options.eps,
        layer_scale_eps=options.layer_scale_eps,
        clamp=options.clamp,
        **{name: None if tensor is None else tensor.data_ptr() for name, tensor in tensors.items()},
    )
    getattr(library, f"online_norm_{direction}")(ctypes.byref(problem))


@functools.cache
def load_library() -> ctypes.CDLL | None:
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
