"""Activation checkpointing of networks with online normalization: the second forward repeats the first exactly.

Online normalization moves its running statistics at every forward, so a segment that is computed again for its
backward would be normalized by other statistics, and its gradients would be far off. With these contexts the statistics
that each call began from are kept (2 C numbers) and used again, and nothing moves a second time:

    torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False, context_fn=online_norm_checkpoint)

Without them a forward within a backward pass raises an error.
"""

import threading
from contextlib import AbstractContextManager
from types import TracebackType

import torch
from torch import Tensor

__all__ = ["Tape", "current_tape", "online_norm_checkpoint", "refuse_unknown_recomputation"]

_active = threading.local()


class Tape:
    """The running mean and variance that each call of each layer began from, in the order of the calls."""

    def __init__(self) -> None:
        self.replaying = False
        self._kept: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self._next: dict[int, int] = {}

    def rewind(self, replaying: bool) -> None:
        """Begin anew: to record, or to replay."""
        self.replaying, self._next = replaying, {}
        if not replaying:
            self._kept = {}

    def statistics(self, layer: object, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Copies of a layer's statistics, kept; or, replaying, those that this call began from the first time."""
        calls = self._kept.setdefault(id(layer), [])
        if not self.replaying:
            calls.append((mean.detach().clone(), variance.detach().clone()))
            return calls[-1]
        number = self._next.get(id(layer), 0)
        self._next[id(layer)] = number + 1
        return calls[number]


class _Context(AbstractContextManager[None]):
    """Makes a tape the current one; entered once to record, any number of times to replay."""

    def __init__(self, tape: Tape, replaying: bool) -> None:
        self.tape, self.replaying = tape, replaying
        self.outer: Tape | None = None

    def __enter__(self) -> None:
        self.outer = current_tape()
        self.tape.rewind(self.replaying)
        _active.tape = self.tape

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _active.tape = self.outer


def online_norm_checkpoint() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The `context_fn` of `torch.utils.checkpoint.checkpoint`: a context for the first forward, one for the second."""
    tape = Tape()
    return _Context(tape, replaying=False), _Context(tape, replaying=True)


def current_tape() -> Tape | None:
    """The tape of the innermost checkpointed segment, if it has one."""
    return getattr(_active, "tape", None)


def refuse_unknown_recomputation() -> None:
    """Raise where this forward runs within a backward pass: it is the second one of a segment that has no tape.

    Raises:
        RuntimeError: naming the way out.
    """
    if torch._C._current_graph_task_id() != -1:
        raise RuntimeError(
            "online normalization moves its statistics at every forward, so that activation checkpointing would "
            "compute other activations the second time; call torch.utils.checkpoint.checkpoint with "
            "use_reentrant=False, context_fn=wsnet.layers.online_norm_checkpoint.online_norm_checkpoint"
        )
