"""The optimizer of a configuration, and its state from and for a checkpoint."""

from typing import Any

import torch
from torch import Tensor, nn

from wsnet.config.optim import AdamConfig, AdamWConfig, LARSConfig, OptimConfig
from wsnet.training.lars import LARS

__all__ = ["build_optimizer", "clip_gradients", "optimizer_state", "restore_optimizer"]


def build_optimizer(optim: OptimConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of all parameters of a model; `scale_with_batch` has been followed by now.

    Fused where torch is: one kernel for all parameters. On a ResNet-20 the step is otherwise a loop over 65 small
    tensors, 1.5 % of a CPU step.
    """
    assert optim.scale_with_batch is None, "pass it through wsnet.config.scaling.scaled_optim"
    groups = _groups(optim, model)
    if isinstance(optim, LARSConfig):
        return LARS(groups, lr=optim.lr, momentum=optim.momentum, trust_coefficient=optim.trust_coefficient)
    if isinstance(optim, AdamConfig | AdamWConfig):
        kind = torch.optim.AdamW if isinstance(optim, AdamWConfig) else torch.optim.Adam
        return kind(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps, fused=True)
    return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum, nesterov=optim.nesterov, fused=True)


@torch.no_grad()
def clip_gradients(optim: OptimConfig, model: nn.Module) -> None:
    """Follow `clip_grad_norm` or `clip_grad_value`, on a step's whole gradient; the device is not waited for."""
    if optim.clip_grad_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), optim.clip_grad_norm)
    if optim.clip_grad_value is not None:
        nn.utils.clip_grad_value_(model.parameters(), optim.clip_grad_value)


def optimizer_state(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[int, dict[str, Any]]:
    """Moments and step counts, by the parameter's number in the model, whatever group it is in."""
    numbered = enumerate(model.parameters())
    return {number: optimizer.state[parameter] for number, parameter in numbered if parameter in optimizer.state}


@torch.no_grad()
def restore_optimizer(optimizer: torch.optim.Optimizer, saved: dict[int, dict[str, Any]], model: nn.Module) -> None:
    """Take moments and step counts; options (weight decay, ...) stay as they are.

    Args:
        optimizer: the optimizer.
        saved: `optimizer_state` of another.
        model: the model that the optimizer is of.

    Raises:
        ValueError: the other one is no optimizer of this kind.
    """
    known = _known_state(optimizer)
    unknown = {name for state in saved.values() for name in state} - known
    if unknown:
        kind = type(optimizer).__name__
        raise ValueError(f"{kind} can not take over what another kind of optimizer has saved: {sorted(unknown)}")
    numbers = {parameter: number for number, parameter in enumerate(model.parameters())}
    in_groups = [numbers[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    state = {place: saved[number] for place, number in enumerate(in_groups) if number in saved}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                # The fused kernels go through memory in order, whatever the strides: with a moment in another memory
                # format than its parameter they would silently mix up the elements.
                is_moment = value.shape == parameter.shape
                values[name] = torch.empty_like(parameter).copy_(value) if is_moment else value.clone()


def _groups(optim: OptimConfig, model: nn.Module) -> list[dict[str, Any]]:
    """Parameters with options of their own: weights, and all others; one group where that makes no difference."""
    adapts = isinstance(optim, LARSConfig)
    if optim.weight_decay_on == "all" and not adapts:
        return [{"params": list(model.parameters()), "weight_decay": optim.weight_decay}]
    weights = _weights(model)
    others = [parameter for parameter in model.parameters() if parameter not in weights]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in model.parameters() if parameter in weights]},
        {"params": others},
    ]
    for group, are_weights in zip(groups, (True, False), strict=True):
        group["weight_decay"] = optim.weight_decay if are_weights or optim.weight_decay_on == "all" else 0.0
        if adapts:
            group["adapt"] = are_weights
    return [group for group in groups if group["params"]]


def _weights(model: nn.Module) -> set[nn.Parameter]:
    """Parameters of convolutions and linear layers but biases.

    By what they belong to, not by their shape: layer norm's scale may be of C x H x W. The gain of a normalized filter
    is a weight: it is the filter's length, so its decay is the L2 penalty of the filter.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return {value for layer in layers for name, value in layer.named_parameters(recurse=False) if name != "bias"}


def _known_state(optimizer: torch.optim.Optimizer) -> set[str]:
    if isinstance(optimizer, LARS):
        return {"velocity"}
    if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        return {"step", "exp_avg", "exp_avg_sq"}
    return {"momentum_buffer"}
