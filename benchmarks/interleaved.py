"""Contestants in one process that take turns, so that what else the machine does falls on all of them alike."""

import time
from collections.abc import Callable, Mapping

import torch

__all__ = ["interleaved"]


def interleaved(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    steps: int = 1,
    warmup: int = 1,
    device: str = "cpu",
) -> list[dict[str, float]]:
    """Time every contestant in each of many rounds, in an order that rotates.

    Args:
        contestants: by name, what makes one step.
        rounds: rounds that count.
        steps: steps of a turn.
        warmup: rounds before those, in which kernels are chosen and compiled.
        device: `cpu`, or a GPU, whose work is waited for.

    Returns:
        Seconds of each turn, a mapping by name for each round. A ratio is the median over the rounds of one
        contestant's seconds over another's in the same round.
    """
    names, measured = list(contestants), []
    for number in range(-warmup, rounds):
        first = number % len(names)
        seconds = {}
        for name in names[first:] + names[:first]:
            began = time.perf_counter()
            for _ in range(steps):
                contestants[name]()
            if device != "cpu":
                torch.cuda.synchronize()
            seconds[name] = time.perf_counter() - began
        if number >= 0:
            measured.append(seconds)
    return measured
