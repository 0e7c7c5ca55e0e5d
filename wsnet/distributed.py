"""Helpers for training one trial with several processes; with one process they do nothing.

Only this module of wsnet uses torch.distributed. Functions that sum, gather or wait are collectives: every worker must
call them.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

__all__ = [
    "data_parallel",
    "exchange_gradients",
    "gather",
    "gather_objects",
    "is_data_parallel",
    "moments",
    "rank_and_world",
    "sum_over_workers",
    "wait_for_all",
    "world_size",
]


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are: (0, 1) outside a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def world_size() -> int:
    """Number of processes that train together: 1 outside a process group."""
    return rank_and_world()[1]


def wait_for_all() -> None:
    """Return once every worker has called this."""
    if world_size() > 1:
        dist.barrier()


def sum_over_workers(tensor: Tensor) -> Tensor:
    """Sum the tensor over all workers, in place, and return it."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def gather(tensor: Tensor) -> list[Tensor]:
    """Every worker's tensor, in the order of ranks; all must have the same shape."""
    if world_size() == 1:
        return [tensor]
    gathered = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(gathered, tensor)
    return gathered


def gather_objects(value: Any) -> list[Any]:
    """Every worker's value, which must be picklable, in the order of ranks."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count (a scalar), mean and biased variance (C each) of every channel of x, N x C x H x W, over all workers.

    In two passes: the mean square minus the squared mean would suffer cancellation. Shares of the batch may differ in
    size.
    """
    count = torch.full((1,), x.numel() // x.shape[1], dtype=x.dtype, device=x.device)
    total = sum_over_workers(torch.cat([count, x.sum((0, 2, 3))]))
    count, mean = total[0], total[1:] / total[0]
    squares = sum_over_workers((x - mean[:, None, None]).square().sum((0, 2, 3)))
    return count, mean, squares / count


def data_parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with gradients averaged over all workers; the model itself with a single worker."""
    if world_size() == 1:
        return model
    # Buffers are averaged once an epoch (wsnet.training.streams), not copied from rank 0 at every step.
    return DistributedDataParallel(
        model, device_ids=[device] if device.type == "cuda" else None, broadcast_buffers=False
    )


def is_data_parallel(model: nn.Module) -> bool:
    """Whether a model is wrapped for several workers (see `data_parallel`)."""
    return isinstance(model, DistributedDataParallel)


def exchange_gradients(model: nn.Module, now: bool) -> AbstractContextManager[None]:
    """Wraps a backward pass of a `data_parallel` model: average the gradients now, or leave that to a later pass."""
    return nullcontext() if now or not isinstance(model, DistributedDataParallel) else model.no_sync()
