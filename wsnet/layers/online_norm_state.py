"""The state of all online normalizations of a network: rescaled, rolled back, merged over workers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wsnet.distributed import gather, world_size
from wsnet.layers.online_norm import STATE, OnlineNorm

__all__ = [
    "merge_over_workers",
    "merged_online_state",
    "online_state",
    "online_states",
    "rescale_gradient_state",
    "restore_online_state",
]


def online_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the state of all online normalizations, by the buffers' names in the model."""
    return {name: buffer.detach().clone() for name, buffer in _buffers(model).items()}


@torch.no_grad()
def restore_online_state(model: nn.Module, state: dict[str, Tensor], where: Tensor | bool = True) -> None:
    """Set the state back: a step that is skipped must not leave a trace.

    Args:
        model: the network.
        state: from `online_state`, before the step.
        where: whether to: a bool, or a tensor of one on the device (such as a gradient scaler's verdict), which the
            host does not wait for.
    """
    for name, buffer in _buffers(model).items():
        condition = torch.as_tensor(where, device=buffer.device)
        buffer.copy_(torch.where(condition, state[name].to(buffer), buffer))


def rescale_gradient_state(model: nn.Module, factor: float | Tensor) -> None:
    """Follow a change of the loss's scale (new over old) in u and v of all online normalizations."""
    for module in model.modules():
        if isinstance(module, OnlineNorm):
            module.rescale_gradient_state(factor)


def merged_online_state(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One state of several streams'.

    The mean is the streams' mean; the variance their mean plus the variance of their means (the streams are parts of
    equal size of one population); u and v are means.

    Args:
        states: of each worker, from `online_state`.
    """
    first = states[0]
    merged = {}
    for name, value in first.items():
        streams = torch.stack([state[name].double() for state in states])
        result = streams.mean(0)
        if name.endswith("running_var"):
            means = torch.stack([state[f"{name.removesuffix('var')}mean"].double() for state in states])
            result = result + means.var(0, correction=0)
        merged[name] = result.to(value)
    return merged


def merge_over_workers(model: nn.Module) -> dict[str, Tensor]:
    """The merged state of all workers' streams, the same on each; the workers' own streams stay as they are.

    A collective: every worker has to call it. For evaluation load it into a copy of the model, for saving
    into its state_dict: `state_dict() | merge_over_workers(model)`. Without a process group: this worker's state.
    """
    return merged_online_state(online_states(model))


def online_states(model: nn.Module) -> list[dict[str, Tensor]]:
    """Every worker's state (see `online_state`), in the order of ranks. A collective, like `merge_over_workers`."""
    own = online_state(model)
    if not own or world_size() == 1:
        return [own]
    flat = torch.cat([value.double() for value in own.values()])
    sizes = [value.numel() for value in own.values()]
    states = [dict(zip(own, values.split(sizes), strict=True)) for values in gather(flat)]
    return [{name: value.to(own[name]) for name, value in state.items()} for state in states]


def _buffers(model: nn.Module) -> dict[str, Tensor]:
    return {
        f"{path}.{name}" if path else name: getattr(module, name)
        for path, module in model.named_modules()
        if isinstance(module, OnlineNorm)
        for name in STATE
    }
