"""The optimizer of a configuration."""

from collections.abc import Iterable

import torch
from torch import nn

from wsnet.config.optim import AdamConfig, OptimConfig

__all__ = ["build_optimizer"]


def build_optimizer(optim: OptimConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD or Adam over all parameters alike.

    Fused: one kernel for all parameters. On a ResNet-20 the step is otherwise a loop over 65 small tensors, 1.5 % of a CPU step.
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
