"""The state of online norm: of one layer, of a network, of several workers, and when a forward is recomputed.

A layer's state is its running mean and variance, and u and v, the two sums that correct its gradient. All of it is in
`state_dict()`, like any buffer. Unlike the state of other norms, it needs some care:

* u and v have the scale of the gradients: if the loss is divided by k (micro-batches), they are k times smaller. If
  the loss's scale changes between steps, call `rescale_gradient_state`.
* A skipped step must not change the state: call `online_state` before it and `restore_online_state` after it.
* Every worker normalizes its own stream of samples: use DistributedDataParallel(..., broadcast_buffers=False), and
  `merged_online_state` of all `online_states` for evaluation and saving.
* Activation checkpointing recomputes a segment for its backward. By then the running statistics have changed, and the
  gradients would be far off. `online_norm_checkpoint` keeps the statistics that each call started from (2 C numbers)
  and uses them again; without it, a forward within a backward pass raises an error:

      torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False, context_fn=online_norm_checkpoint)
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from wsnet.distributed import gather, world_size

__all__ = [
    "STATE",
    "OnlineState",
    "merged_online_state",
    "online_norm_checkpoint",
    "online_state",
    "online_states",
    "rescale_gradient_state",
    "restore_online_state",
    "starting_statistics",
]

STATE = ("running_mean", "running_var", "u", "v")


class OnlineState(nn.Module):
    """The state of one layer of C channels.

    Attributes:
        running_mean, running_var, u, v: (C,), float32 or better whatever the module is cast to. Updated in training
            mode only: the first two by forward, the others by backward.
    """

    running_mean: Tensor
    running_var: Tensor
    u: Tensor
    v: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        for name in STATE:
            self.register_buffer(name, torch.zeros(num_features, dtype=torch.float32))
        self.reset_running_stats()

    @torch.no_grad()
    def reset_running_stats(self) -> None:
        """Reset the state to its initial values: variance 1, the rest 0."""
        for name in STATE:
            getattr(self, name).fill_(1 if name == "running_var" else 0)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # After .to(bfloat16) or .half() the state is still float32.
        before = {name: getattr(self, name) for name in STATE}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            after = getattr(self, name)
            if after.dtype.itemsize < 4:
                setattr(self, name, buffer.to(after.device))
        return self


# ---- The state of a network.


def online_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the state of all online normalizations, keyed by the buffers' names in the model."""
    return {name: buffer.detach().clone() for name, buffer in _buffers(model).items()}


@torch.no_grad()
def restore_online_state(model: nn.Module, state: dict[str, Tensor], condition: Tensor | bool = True) -> None:
    """Restore a saved state.

    Args:
        model: the network.
        state: from `online_state`.
        condition: whether to restore it: a bool, or a bool tensor on the device (such as a gradient scaler's verdict),
            which needs no synchronization.
    """
    for name, buffer in _buffers(model).items():
        restored = torch.as_tensor(condition, device=buffer.device)
        buffer.copy_(torch.where(restored, state[name].to(buffer), buffer))


@torch.no_grad()
def rescale_gradient_state(model: nn.Module, factor: float | Tensor) -> None:
    """Rescale u and v of all online normalizations by a change of the loss's scale, new over old.

    It changes with mixed precision and with the number of micro-batches.
    """
    for module in model.modules():
        if isinstance(module, OnlineState):
            module.u.mul_(factor)
            module.v.mul_(factor)


def _buffers(model: nn.Module) -> dict[str, Tensor]:
    return {
        f"{path}.{name}" if path else name: getattr(module, name)
        for path, module in model.named_modules()
        if isinstance(module, OnlineState)
        for name in STATE
    }


# ---- The states of several workers.


def online_states(model: nn.Module) -> list[dict[str, Tensor]]:
    """Every worker's state (see `online_state`), in the order of ranks. A collective: every worker has to call it."""
    own = online_state(model)
    if not own or world_size() == 1:
        return [own]
    flat = torch.cat([value.double() for value in own.values()])
    sizes = [value.numel() for value in own.values()]
    states = [dict(zip(own, values.split(sizes), strict=True)) for values in gather(flat)]
    return [{name: value.to(own[name]) for name, value in state.items()} for state in states]


def merged_online_state(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Merge the states of several streams into one.

    The streams count as equal parts of one population: means are averaged, and the variance is the average of the
    variances plus the variance of the means. u and v are averaged.

    Args:
        states: each worker's state, from `online_states`.
    """
    merged = {}
    for name, value in states[0].items():
        result = torch.stack([state[name].double() for state in states]).mean(0)
        if name.endswith("running_var"):
            means = torch.stack([state[f"{name.removesuffix('var')}mean"].double() for state in states])
            result = result + means.var(0, correction=0)
        merged[name] = result.to(value)
    return merged


# ---- Recomputation.

MeanAndVariance = tuple[Tensor, Tensor]


class _Segment(AbstractContextManager[None]):
    """A checkpointed segment: one context to run it, and one, entered any number of times, to recompute it.

    Args:
        calls: by layer, the statistics that its calls started from, in their order; shared by the two contexts.
        again: whether the segment is recomputed.
    """

    def __init__(self, calls: dict[int, list[MeanAndVariance]], again: bool) -> None:
        self.calls, self.again = calls, again
        self.repeated: Counter[int] = Counter()
        """How many calls of each layer have been recomputed."""
        self.outer: _Segment | None = None

    def __enter__(self) -> None:
        self.outer, _active.segment = _active.segment, self
        self.repeated.clear()

    def __exit__(self, *error: object) -> None:
        _active.segment = self.outer


class _Active(threading.local):
    segment: _Segment | None = None
    """The innermost segment that runs."""


_active = _Active()


def online_norm_checkpoint() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The `context_fn` of `torch.utils.checkpoint.checkpoint`: one context for the first forward, one for the rest."""
    calls: dict[int, list[MeanAndVariance]] = {}
    return _Segment(calls, again=False), _Segment(calls, again=True)


def starting_statistics(layer: OnlineState) -> MeanAndVariance:
    """The running mean and variance that a training forward starts from and updates.

    They are the layer's own or, when a checkpointed segment is recomputed, copies of those that the first forward
    started from.

    Raises:
        RuntimeError: a segment is recomputed without `online_norm_checkpoint`.
    """
    statistics, segment = (layer.running_mean, layer.running_var), _active.segment
    if segment is None:
        if torch._C._current_graph_task_id() != -1:
            raise RuntimeError(
                "online normalization updates its statistics in every forward, so activation checkpointing would "
                "recompute different activations; call torch.utils.checkpoint.checkpoint with "
                "use_reentrant=False, context_fn=wsnet.layers.online_norm.online_norm_checkpoint"
            )
        return statistics
    calls = segment.calls.setdefault(id(layer), [])
    if not segment.again:
        calls.append((statistics[0].clone(), statistics[1].clone()))
        return statistics
    mean, variance = calls[segment.repeated[id(layer)]]
    segment.repeated[id(layer)] += 1
    return mean.clone(), variance.clone()
