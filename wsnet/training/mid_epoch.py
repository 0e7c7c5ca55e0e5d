"""Checkpoints in the middle of an epoch, for epochs of hours: what is needed beyond the state after a whole epoch.

Workers have running statistics and losses of their own until an epoch ends, so that a checkpoint has those of each.
Which images come next follows from the step: nothing that was done has to be done, or decoded, again.
"""

from typing import Any

import torch
from torch import distributed as dist
from torch import nn

from wsnet.training.distributed import rank_and_world

__all__ = ["of_all_workers", "own_state", "restore_own_state"]


def own_state(model: nn.Module, meter: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What one worker has of its own in mid-epoch.

    Args:
        model: the network; its buffers count, since parameters are the same everywhere.
        meter: `TrainingMeter.state`.
        seconds: how long the epoch has taken so far.
    """
    buffers = {name: buffer.detach().cpu() for name, buffer in model.named_buffers()}
    return {"buffers": buffers, "meter": meter, "seconds": seconds}


def of_all_workers(own: dict[str, Any]) -> list[dict[str, Any]]:
    """Every worker's own state, in the order of ranks. A collective."""
    world = rank_and_world()[1]
    if world == 1:
        return [own]
    states: list[Any] = [None] * world
    dist.all_gather_object(states, own)
    return states


@torch.no_grad()
def restore_own_state(model: nn.Module, own: dict[str, Any]) -> None:
    """Put a worker's buffers back."""
    for name, buffer in model.named_buffers():
        buffer.copy_(own["buffers"][name])
