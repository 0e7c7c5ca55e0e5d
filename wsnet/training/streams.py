"""Online norm's state in a training: a stream of images for each worker, gradients at one scale.

Where several workers train one trial, a worker trains with the state that its own images have left. For evaluation and
saving the streams are merged (see `wsnet.layers.online_norm_state.merged_online_state` for the rule), and then each
worker goes on with its own.

What passes backward, u and v, is at the scale of the gradients, which are those of a batch's mean loss. An image of a
smaller last batch weighs more in that mean, so that u and v have to be brought to its scale and back again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from wsnet.layers.online_norm_state import (
    merged_online_state,
    online_state,
    online_states,
    rescale_gradient_state,
    restore_online_state,
)
from wsnet.training.distributed import rank_and_world

__all__ = ["Streams"]

State = dict[str, Tensor]


class Streams:
    """The streams of all workers of one model; without online norm, nothing happens.

    Args:
        model: the network, the same on each worker.
        start: every worker's state, as a checkpoint has it; where it is of another number of workers, all begin with
            what the model has.

    Attributes:
        states: every worker's state after the last `merge`, in the order of ranks.
    """

    def __init__(self, model: nn.Module, start: list[State]) -> None:
        self.rank, self.world = rank_and_world()
        self._model = model
        self._has_streams = bool(online_state(model))
        self._is_on = self.world > 1 and self._has_streams
        self.states = start if self._is_on and len(start) == self.world else []

    def part(self) -> None:
        """Before training: each worker goes on with its own state."""
        if self.states:
            restore_online_state(self._model, self.states[self.rank])

    def merge(self) -> None:
        """After training: each worker has the state of all. A collective."""
        if self._is_on:
            self.states = online_states(self._model)
            restore_online_state(self._model, merged_online_state(self.states))

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
