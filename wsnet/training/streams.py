"""Online norm's state during training: one stream of images per worker, gradients at one scale.

When several workers train one trial, each trains with the state left by its own images. For evaluation and saving the
streams are merged (see `merged_online_state`), and then each worker continues with its own.

The backward state, u and v, is at the scale of the gradients, which are those of a batch's mean loss. An image of a
smaller last batch weighs more in that mean, so u and v are rescaled for that batch, and back again afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from wsnet.distributed import rank_and_world, sum_over_workers, world_size
from wsnet.layers.online_norm import (
    OnlineNorm,
    merged_online_state,
    online_state,
    online_states,
    rescale_gradient_state,
    restore_online_state,
)

__all__ = ["Streams", "average_buffers"]


class Streams:
    """The streams of all workers of one model; without online norm, its methods do nothing.

    Args:
        model: the network, the same on each worker.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._rank, self._world = rank_and_world()
        self._has_streams = bool(online_state(model))
        self._states: list[dict[str, Tensor]] = []  # every worker's own at the last merge, by rank

    def separate(self) -> None:
        """Before training: restore each worker's own state."""
        if self._states:
            restore_online_state(self._model, self._states[self._rank])

    def merge(self) -> None:
        """After training: give every worker the merged state. A collective."""
        if self._world > 1 and self._has_streams:
            self._states = online_states(self._model)
            restore_online_state(self._model, merged_online_state(self._states))

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        """Rescale u and v for a step with gradients `factor` times as large: a full batch's size over this batch's.

        Between steps, u and v are at the scale of a full batch.
        """
        if factor == 1 or not self._has_streams:
            yield
            return
        rescale_gradient_state(self._model, factor)
        yield
        rescale_gradient_state(self._model, 1 / factor)

    def state_dict(self) -> list[dict[str, Tensor]]:
        """Every worker's own state at the last merge, by rank; empty if there is one stream or none."""
        return self._states

    def load_state_dict(self, states: list[dict[str, Tensor]]) -> None:
        """Continue from a checkpoint's states; with another number of workers, all start from the merged one."""
        is_ours = self._world > 1 and self._has_streams and len(states) == self._world
        self._states = states if is_ours else []


def average_buffers(model: nn.Module) -> None:
    """Give every worker the mean of all workers' running statistics.

    Each worker normalizes its own share of a batch and keeps its own running statistics; their mean is what evaluation
    uses and what a checkpoint holds. (DistributedDataParallel's default, rank 0's alone, would use 1/W of the samples.)
    Online norm is merged differently: see `Streams`.
    """
    world = world_size()
    if world == 1:
        return
    with torch.no_grad():
        modules = [module for module in model.modules() if not isinstance(module, OnlineNorm)]
        for buffer in (buffer for module in modules for buffer in module.buffers(recurse=False)):
            if buffer.is_floating_point():
                sum_over_workers(buffer).div_(world)
