"""The few things that differ when several processes train one trial; with one process they do nothing."""

import torch
from torch import Tensor
from torch import distributed as dist

__all__ = ["moments", "rank_and_world", "sum_over_workers", "wait_for_all", "world_size"]


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are: (0, 1) outside a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def world_size() -> int:
    """Number of processes that train together: 1 outside a process group."""
    return rank_and_world()[1]


def wait_for_all() -> None:
    """Return when every worker got here."""
    if world_size() > 1:
        dist.barrier()


def sum_over_workers(tensor: Tensor) -> Tensor:
    """The tensor, added up over all workers in place."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count (a scalar), mean and biased variance (C each) of every channel of x, N x C x H x W, over all workers.

    In two passes: a mean square less a squared mean would cancel. Shares of the batch may differ in size.
    """
    count = torch.full((1,), x.numel() // x.shape[1], dtype=x.dtype, device=x.device)
    total = sum_over_workers(torch.cat([count, x.sum((0, 2, 3))]))
    count, mean = total[0], total[1:] / total[0]
    squares = sum_over_workers((x - mean[:, None, None]).square().sum((0, 2, 3)))
    return count, mean, squares / count
