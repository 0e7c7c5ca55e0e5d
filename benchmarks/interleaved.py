"""Times several functions in turns in one process, so that other load on the machine affects all of them alike."""

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
        contestants: functions that run one step, by name.
        rounds: rounds that are measured.
        steps: steps per turn.
        warmup: rounds before those, in which kernels are chosen and compiled.
        device: `cpu`, or a GPU, which is synchronized after each turn.

    Returns:
        For each round, the seconds of each contestant's turn by name. A ratio is the median over the rounds of one
        contestant's seconds divided by another's in the same round.
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
