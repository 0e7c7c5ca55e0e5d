"""Stacked replicates: R networks of one architecture as one network, whose layers compute all R side by side.

Where a network has tensors N x C x H x W or N x C, the stacked one has N x (R C) x H x W or N x (R C): the channels of
the first replicate, then those of the second, and so on. Convolutions have R times the groups, and every statistic is
of one replicate. Each parameter and each buffer is that of the R networks joined along its first dimension; numbers
without dimensions, such as step counts, are common to all. `stack` and `unstack` do no more than that.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["StackedLinear", "joined_channels", "padded_channels", "stack", "unstack"]

_Key = TypeVar("_Key")


def stack(states: Sequence[Mapping[_Key, Tensor]]) -> dict[_Key, Tensor]:
    """The state of a stacked network from those of its replicates.

    Args:
        states: tensors by name, such as `state_dict()`; all have the same names and shapes.
    """
    first = states[0]
    return {key: torch.cat([state[key] for state in states]) if first[key].dim() else first[key] for key in first}


def unstack(state: Mapping[_Key, Tensor], replicate: int, replicates: int) -> dict[_Key, Tensor]:
    """The state of one replicate of a stacked network: views of its tensors.

    Args:
        state: the stacked network's.
        replicate: which one, from 0.
        replicates: R.
    """
    return {key: value.chunk(replicates)[replicate] if value.dim() else value for key, value in state.items()}


class StackedLinear(nn.Linear):
    """R linear layers side by side, from N x (R in_features) to N x (R out_features).

    Attributes:
        weight: (R out_features) x in_features.
        bias: R out_features.
    """

    def __init__(self, replicates: int, in_features: int, out_features: int) -> None:
        super().__init__(in_features, replicates * out_features)
        self.replicates = replicates

    def forward(self, input: Tensor) -> Tensor:
        """N x (R in_features) to N x (R out_features)."""
        rows = input.unflatten(1, (self.replicates, -1)).transpose(0, 1)
        weight, bias = (values.unflatten(0, (self.replicates, -1)) for values in (self.weight, self.bias))
        return torch.baddbmm(bias.unsqueeze(1), rows, weight.transpose(1, 2)).transpose(0, 1).flatten(1)

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"replicates={self.replicates}, {super().extra_repr()}"


def joined_channels(maps: Sequence[Tensor], replicates: int = 1) -> Tensor:
    """Maps of R networks, each N x (R C_i) x H x W, joined along the channels of each: N x (R sum C_i) x H x W."""
    if replicates == 1:
        return torch.cat(list(maps), 1)
    if _is_channels_last(maps[0]):
        parts = [x.permute(0, 2, 3, 1).unflatten(3, (replicates, -1)) for x in maps]
        return torch.cat(parts, 4).flatten(3).permute(0, 3, 1, 2)
    return torch.cat([x.unflatten(1, (replicates, -1)) for x in maps], 2).flatten(1, 2)


def padded_channels(x: Tensor, new_channels: int, replicates: int = 1) -> Tensor:
    """Maps of R networks, N x (R C) x H x W, with channels of zeros after those of each: N x R (C + new) x H x W."""
    if replicates == 1:
        return F.pad(x, (0, 0, 0, 0, 0, new_channels))
    if _is_channels_last(x):
        parts = x.permute(0, 2, 3, 1).unflatten(3, (replicates, -1))
        return F.pad(parts, (0, new_channels)).flatten(3).permute(0, 3, 1, 2)
    return F.pad(x.unflatten(1, (replicates, -1)), (0, 0, 0, 0, 0, new_channels)).flatten(1, 2)


def _is_channels_last(x: Tensor) -> bool:
    """Whether channels are next to each other in memory, also of a map that was subsampled."""
    return x.stride(1) == 1
