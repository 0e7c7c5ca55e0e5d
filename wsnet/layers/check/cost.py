"""What a norm costs."""

import statistics
import time

import torch
from torch import nn

from wsnet.layers.check.finding import Finding, noted
from wsnet.layers.check.subject import Subject

__all__ = ["cost"]

REPEATS = 50
SECONDS = 3.0
"""Enough of them, on a machine that is slow or has other things to do."""


def cost(subject: Subject, *, images: int = 32) -> Finding:
    """Forward and backward over that of nn.BatchNorm2d on the same maps: medians, measured in turns."""
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
            (norm(x) * 1).backward(grad)  # A norm may give its input itself.
            if repeat >= 3:
                found.append(time.perf_counter() - began)
    own, batch = map(statistics.median, times)
    shape = "x".join(map(str, x.shape))
    threads = torch.get_num_threads()
    what = f"forward and backward of {shape}, {threads} CPU thread{'s' if threads > 1 else ''}"
    return noted(f"{own / batch:.2f} x nn.BatchNorm2d ({1e3 * own:.2f} and {1e3 * batch:.2f} ms; {what})")
