"""The few things that differ when several processes train one trial; with one process they do nothing."""

import torch
from torch import Tensor, nn
from torch import distributed as dist

from wsnet.layers.online_norm import OnlineNorm

__all__ = ["average_buffers", "rank_and_world", "sum_over_workers", "wait_for_all"]


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are: (0, 1) outside a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def sum_over_workers(tensor: Tensor) -> None:
    """Add up a tensor over all workers, in place."""
    if rank_and_world()[1] > 1:
        dist.all_reduce(tensor)


def average_buffers(model: nn.Module) -> None:
    """Give every worker the mean of all workers' running statistics.

    Each worker normalizes its own share of a batch and keeps its own running statistics; their mean is what evaluation
    uses and what a checkpoint holds. (DistributedDataParallel's default, rank 0's alone, would use 1/W of the samples.)
    Online norm has a rule of its own: see `wsnet.training.streams`.
    """
    world = rank_and_world()[1]
    if world == 1:
        return
    with torch.no_grad():
        modules = [module for module in model.modules() if not isinstance(module, OnlineNorm)]
        for buffer in (buffer for module in modules for buffer in module.buffers(recurse=False)):
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= world


def wait_for_all() -> None:
    """Return when every worker got here."""
    if rank_and_world()[1] > 1:
        dist.barrier()
