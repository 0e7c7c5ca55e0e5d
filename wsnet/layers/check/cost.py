"""Checks of speed: what a norm costs, and whether torch.compile compiles it into a single graph."""

import os
import shutil
import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from wsnet.layers.check.subject import Finding, Step, Subject, failed, largest, noted, passed, step

__all__ = ["compiled", "cost"]

REPEATS = 50
SECONDS = 3.0
"""Time limit, after which the measurement ends before `REPEATS` on a slow or busy machine."""


def cost(subject: Subject, *, images: int = 32) -> Finding:
    """Time of forward and backward relative to nn.BatchNorm2d on the same maps: medians, measured alternately."""
    step(subject.made(), subject.maps())  # A norm that breaks a rule is told so in its words.
    norms = (subject.made(), nn.BatchNorm2d(subject.channels))
    x = subject.maps(images).requires_grad_()
    grad = torch.ones_like(x)
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + SECONDS
    for repeat in range(REPEATS + 3):
        if repeat > 6 and time.perf_counter() > end:
            break
        for norm, found in zip(norms, times, strict=True):
            began = time.perf_counter()
            (norm(x) * 1).backward(grad)  # Times 1, since a norm may return its input itself.
            if repeat >= 3:
                found.append(time.perf_counter() - began)
    own, batch = map(statistics.median, times)
    shape = "x".join(map(str, x.shape))
    threads = torch.get_num_threads()
    what = f"forward and backward of {shape}, {threads} CPU thread{'s' if threads > 1 else ''}"
    return noted(f"{own / batch:.2f} x nn.BatchNorm2d ({1e3 * own:.2f} and {1e3 * batch:.2f} ms; {what})")


TOLERANCE = 1e-3
"""For float32, in which a compiler's fusing and reordering changes the rounding."""


def compiled(subject: Subject, *, backend: str = "inductor") -> Finding:
    """Compare the norm under torch.compile(fullgraph=True) with the uncompiled norm.

    Args:
        subject: the norm.
        backend: of torch.compile; `aot_eager` traces forward and backward without a compiler.
    """
    names = (os.environ.get("CXX"), "c++", "g++", "clang++")
    if backend == "inductor" and not any(name and shutil.which(name) for name in names):
        return noted("not tried: there is no C++ compiler here")
    expected = step(subject.trained(), subject.maps())
    norm = subject.trained()
    torch._dynamo.reset()
    try:
        whole: Any = torch.compile(norm, fullgraph=True, backend=backend)
        found = step(whole, subject.maps())
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return failed(f"torch.compile(fullgraph=True) raises {type(error).__name__}: {lines[0] if lines else ''}")
    finally:
        torch._dynamo.reset()
    where, off = largest(Step(y=found.y, grads=_unwrapped(found.grads), state=_unwrapped(found.state)), expected)
    if off > TOLERANCE:
        return failed(f"compiled, the {where} differs by {off:.1e}; do not update state or branch on values in Python")
    return passed(f"one graph ({backend}), same numbers (to {off:.0e})")


def _unwrapped(named: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("_orig_mod."): value for name, value in named.items()}
