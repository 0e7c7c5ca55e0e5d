"""Online norm's state in a training: one stream of images per worker, gradients at one scale.

Where several workers train one trial, each worker trains with the state that its own images have left. For evaluation
and saving the streams are merged (`merged_online_state` has the rule), and then each worker goes on with its own.

What passes backward, u and v, is at the scale of the gradients, which are those of a batch's mean loss. An image of a
smaller last batch weighs more in that mean, so that u and v have to be brought to its scale and back again.
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
    """The streams of all workers of one model; without online norm, nothing happens.

    Args:
        model: the network, the same on each worker.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._rank, self._world = rank_and_world()
        self._has_streams = bool(online_state(model))
        self._states: list[dict[str, Tensor]] = []  # every worker's after the last merge, in the order of ranks

    def separate(self) -> None:
        """Before training: each worker goes on with its own state."""
        if self._states:
            restore_online_state(self._model, self._states[self._rank])

    def merge(self) -> None:
        """After training: each worker has the state of all. A collective."""
        if self._world > 1 and self._has_streams:
            self._states = online_states(self._model)
            restore_online_state(self._model, merged_online_state(self._states))

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        """For a step whose gradients are `factor` times as large as the others': the whole batch's size over its own.

        In between, u and v are at the scale of a whole batch.
        """
        if factor == 1 or not self._has_streams:
            yield
            return
        rescale_gradient_state(self._model, factor)
        yield
        rescale_gradient_state(self._model, 1 / factor)

    def state_dict(self) -> list[dict[str, Tensor]]:
        """Every worker's state after the last merge, in the order of ranks; empty where there is one stream or none."""
        return self._states

    def load_state_dict(self, states: list[dict[str, Tensor]]) -> None:
        """Go on from a checkpoint's; with another number of workers, all begin with what the model has."""
        is_ours = self._world > 1 and self._has_streams and len(states) == self._world
        self._states = states if is_ours else []


def average_buffers(model: nn.Module) -> None:
    """Give every worker the mean of all workers' running statistics.

    Each worker normalizes its own share of a batch and keeps its own running statistics; their mean is what evaluation
    uses and what a checkpoint holds. (DistributedDataParallel's default, rank 0's alone, would use 1/W of the samples.)
    Online norm has a rule of its own: see `Streams`.
    """
    world = world_size()
    if world == 1:
        return
    with torch.no_grad():
        modules = [module for module in model.modules() if not isinstance(module, OnlineNorm)]
        for buffer in (buffer for module in modules for buffer in module.buffers(recurse=False)):
            if buffer.is_floating_point():
                sum_over_workers(buffer).div_(world)
