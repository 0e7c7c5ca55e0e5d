"""The optimizer of a configuration, and its state from a checkpoint."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from wsnet.config.optim import AdamConfig, OptimConfig

__all__ = ["build_optimizer", "restore_optimizer"]


def build_optimizer(optim: OptimConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD or Adam over all parameters alike.

    Fused: one kernel for all parameters. On a ResNet-20 the step is otherwise a loop over 65 small tensors, 1.5 % of a
    CPU step.
    """
    if isinstance(optim, AdamConfig):
        return torch.optim.Adam(
            parameters, lr=optim.lr, betas=optim.betas, eps=optim.eps, weight_decay=optim.weight_decay, fused=True
        )
    return torch.optim.SGD(
        parameters,
        lr=optim.lr,
        momentum=optim.momentum,
        nesterov=optim.nesterov,
        weight_decay=optim.weight_decay,
        fused=True,
    )


@torch.no_grad()
def restore_optimizer(optimizer: torch.optim.Optimizer, saved: dict[int, dict[str, Any]]) -> None:
    """Take moments and step counts; options (weight decay, ...) stay as they are.

    Args:
        optimizer: the optimizer.
        saved: `state_dict()["state"]` of another.

    Raises:
        ValueError: the other one is no optimizer of this kind, or of other parameters.
    """
    known = {"step", "exp_avg", "exp_avg_sq"} if isinstance(optimizer, torch.optim.Adam) else {"momentum_buffer"}
    unknown = {name for state in saved.values() for name in state} - known
    if unknown:
        kind = type(optimizer).__name__
        raise ValueError(f"{kind} can not take over what another kind of optimizer has saved: {sorted(unknown)}")
    optimizer.load_state_dict({"state": saved, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                # The fused kernels go through memory in order, whatever the strides: with a moment in another memory
                # format than its parameter they would silently mix up the elements.
                is_moment = value.shape == parameter.shape
                state[name] = torch.empty_like(parameter).copy_(value) if is_moment else value.clone()
