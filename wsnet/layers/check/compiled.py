"""Whether torch.compile takes the norm whole."""

import os
import shutil
from typing import Any

import torch
from torch import Tensor

from wsnet.layers.check.finding import Finding, failed, noted, passed
from wsnet.layers.check.subject import Step, Subject, largest, step

__all__ = ["compiled"]

TOLERANCE = 1e-3
"""In float32, where a compiler fuses and reorders."""


def compiled(subject: Subject, *, backend: str = "inductor") -> Finding:
    """torch.compile(fullgraph=True), against the norm as it is.

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
        return failed(f"compiled, the {where} is {off:.1e} off; do not move state or choose by value in Python")
    return passed(f"one graph ({backend}), same numbers (to {off:.0e})")


def _unwrapped(named: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("_orig_mod."): value for name, value in named.items()}
