"""The CPU for a while: the number of threads that torch computes with, and cores that others use."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["busy_cores", "cpu_threads"]


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Within the context, torch computes with a number of CPU threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def busy_cores(number: int) -> Iterator[None]:
    """Within the context, so many other processes compute, as when trials run beside each other."""
    others = []
    try:
        for _ in range(number):
            others.append(subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]))
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
