"""The CPU kernels of online normalization: C++ (beside this file), compiled where a compiler is found, at first use.

They compute what `online_norm_maths` and `online_norm_passes` compute from torch operations, with each tensor read from
memory once a direction. Without a compiler, or with `WSNET_KERNELS=0`, torch operations do the work: the same numbers
up to rounding. The library is kept in `$XDG_CACHE_HOME/wsnet` (`~/.cache/wsnet`), named by its source and processor.
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

import torch
from torch import Tensor

from wsnet.layers.online_norm_maths import OnlineNormOptions, Statistics, affine_dtype
from wsnet.layers.online_norm_passes import in_layout_of

__all__ = ["DTYPES", "backward", "forward", "kernels", "serves"]

DTYPES = (torch.float32, torch.bfloat16)
"""Of the elements."""
CHUNK = 2**20
"""Elements for each thread in a chunk of samples, which stays in the caches between its passes. Smaller ones are no
faster, and every chunk is three barriers more."""
TILE = 2**13
"""Elements of a tile of pixels (channels_last), which stays in the first level's cache."""
SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-std=c++17", "-fno-math-errno", "-Wno-psabi")


class Problem(ctypes.Structure):
    """Field for field the C++ `Problem`."""

    _fields_ = (
        *((name, c_int64) for name in ("N", "C", "D", "group", "chunk", "tile")),
        *((name, c_int32) for name in ("channels_last", "is_bf16", "threads", "double_state", "double_affine")),
        *((name, c_int32) for name in ("scaled", "clamped", "frozen", "update")),
        *((name, c_double) for name in ("forward_decay", "backward_decay", "eps", "scale_eps", "clamp")),
        *((name, c_void_p) for name in ("x", "grad", "out", "weight", "bias", "forward_decays", "backward_decays")),
        *((name, c_void_p) for name in ("mean", "var", "u", "v", "stats", "zeta", "grad_weight", "grad_bias")),
    )


def serves(x: Tensor, weight: Tensor | None, state: Tensor) -> bool:
    """Whether the kernels take these tensors (and exist): dense float32 or bfloat16 on the CPU."""
    double = (torch.float32, torch.float64)
    return (
        x.device.type == "cpu"
        and x.dtype in DTYPES
        and x.numel() > 0
        and state.dtype in double
        and (weight is None or weight.dtype in double)
        and kernels() is not None
    )


def forward(
    x: Tensor,
    affine: tuple[Tensor | None, Tensor | None],
    state: tuple[Tensor, Tensor],
    options: OnlineNormOptions,
    *,
    frozen: bool = False,
) -> tuple[Tensor, Statistics]:
    """Normalize, and move the running mean and variance in place (unless frozen).

    Args:
        x: (N, C, *), contiguous or channels_last.
        affine: weight and bias (C,), or None.
        state: running mean and variance (C,).
        options: the layer's options.
        frozen: the evaluation mode.

    Returns:
        The output, in the layout of x, and the statistics that backward needs.
    """
    problem = _problem(x, affine, options)
    stats = torch.empty(4, problem.N, problem.C, dtype=torch.float64)
    zeta = torch.empty(problem.N, problem.C // problem.group, dtype=torch.float64)
    out = torch.empty_like(x)
    problem.frozen, problem.update, problem.double_state = frozen, not frozen, state[0].dtype == torch.float64
    problem.mean, problem.var = (tensor.data_ptr() for tensor in state)
    problem.out, problem.stats, problem.zeta = out.data_ptr(), stats.data_ptr(), zeta.data_ptr()
    _library().online_norm_forward(ctypes.byref(problem))
    return out, Statistics(stats, zeta)


def backward(
    grad: Tensor,
    x: Tensor,
    affine: tuple[Tensor | None, Tensor | None],
    statistics: Statistics,
    state: tuple[Tensor, Tensor],
    options: OnlineNormOptions,
    *,
    needs_input: bool = True,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """The gradients of x, and of weight and bias (C,) in their dtype; moves u and v in place.

    Args:
        grad: the gradient of the output, in the dtype of x.
        x: the input of forward.
        affine: weight and bias, as in forward.
        statistics: what forward returned.
        state: u and v (C,).
        options: the layer's options.
        needs_input: whether the gradient of x is wanted.
    """
    problem = _problem(x, affine, options)
    grad_in = torch.empty_like(x) if needs_input else None
    grad_weight, grad_bias = (torch.empty(problem.C, dtype=affine_dtype(affine)) for _ in range(2))
    problem.chunk = max(problem.chunk // 2, 1)
    problem.update, problem.double_state = True, state[0].dtype == torch.float64
    problem.u, problem.v = (tensor.data_ptr() for tensor in state)
    grad = in_layout_of(x, grad)
    problem.grad, problem.out = grad.data_ptr(), None if grad_in is None else grad_in.data_ptr()
    problem.stats, problem.zeta = statistics.stats.data_ptr(), statistics.zeta.data_ptr()
    problem.grad_weight, problem.grad_bias = grad_weight.data_ptr(), grad_bias.data_ptr()
    _library().online_norm_backward(ctypes.byref(problem))
    return grad_in, grad_weight, grad_bias


def _problem(x: Tensor, affine: tuple[Tensor | None, Tensor | None], options: OnlineNormOptions) -> Problem:
    samples, channels = x.shape[:2]
    pixels = x.numel() // (samples * channels)
    threads = torch.get_num_threads()
    weight, bias = affine
    problem = Problem(N=samples, C=channels, D=pixels, group=options.group_size or channels, threads=threads)
    problem.chunk = max(threads * CHUNK // (pixels * channels), threads)
    problem.tile = max(TILE // channels, 16)
    problem.channels_last, problem.is_bf16 = pixels == 1 or not x.is_contiguous(), x.dtype == torch.bfloat16
    problem.scaled, problem.clamped = options.layer_scaling, options.clamping
    problem.eps, problem.scale_eps, problem.clamp = options.eps, options.layer_scale_eps, options.clamp
    problem.double_affine = weight is not None and weight.dtype == torch.float64
    problem.weight = None if weight is None else weight.data_ptr()
    problem.bias = None if bias is None else bias.data_ptr()
    for name in ("forward_decay", "backward_decay"):
        decay = getattr(options, name)
        if isinstance(decay, Tensor):
            setattr(problem, f"{name}s", decay.data_ptr())
        else:
            setattr(problem, name, decay)
    problem.x = x.data_ptr()
    return problem


def _library() -> ctypes.CDLL:
    library = kernels()
    assert library is not None, "serves() comes first"
    return library


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """The compiled library, or None where it can not be had."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if os.environ.get("WSNET_KERNELS") == "0" or compiler is None or not SOURCE.is_file():
        return None
    try:
        library = ctypes.CDLL(str(_compiled(compiler)))
        library.online_norm_problem_size.restype = c_int64
        assert library.online_norm_problem_size() == ctypes.sizeof(Problem)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        warnings.warn(f"online normalization runs without its CPU kernels, slower: {reason}", stacklevel=2)
        return None
    return library


def _compiled(compiler: str) -> Path:
    """The library's file, compiled unless there is one of this source, compiler and processor."""
    what = hashlib.sha256(SOURCE.read_bytes() + " ".join((compiler, *FLAGS, _processor())).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsnet"
    path = folder / f"online_norm_{what}.so"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder
        ) as scratch:  # Others may be compiling it too: the last rename wins.
            made = Path(scratch) / path.name
            command = [compiler, *FLAGS, str(SOURCE), "-o", str(made)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
            made.replace(path)
    return path


def _processor() -> str:
    """What -march=native depends on: a home folder may be shared by unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
