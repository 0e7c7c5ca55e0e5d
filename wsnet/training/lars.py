"""LARS: layer-wise adaptive rate scaling (You, Gitman & Ginsburg 2017, arXiv:1708.03888)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["LARS", "split"]


class LARS(torch.optim.Optimizer):
    """SGD with momentum whose step is, in each layer, proportional to the norm of the layer's weights (algorithm 1).

    With weights w, gradient g, learning rate lr and weight decay b:

        ratio = trust_coefficient ||w|| / (||g|| + b ||w||)
        v     = momentum v + lr ratio (g + b w)
        w     = w - v

    The ratio is 1 in groups that are not adapted (norm parameters and biases, as usual since You et al.), and where the
    weights or the gradient are all zero.

    Args:
        params: parameters, or groups with their own `weight_decay` and `adapt`.
        lr: learning rate, read in each step.
        momentum: decay of v.
        weight_decay: b.
        trust_coefficient: see above.
        adapt: whether the ratio is used.
        replicates: networks side by side in each parameter, along its first dimension; each has its own ratio.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        adapt: bool = True,
        replicates: int = 1,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "trust_coefficient": trust_coefficient, "adapt": adapt})
        self._replicates = replicates

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient, without waiting for the device."""
        assert closure is None, "wsnet computes the gradients before the step"
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self._step(group, parameters, [parameter.grad for parameter in parameters])

    def _step(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        update = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        if group["adapt"]:
            parts = [split(tensors, self._replicates) for tensors in (update, parameters, gradients)]
            torch._foreach_mul_(parts[0], _ratios(group, *parts[1:]))
        torch._foreach_mul_(update, group["lr"])
        if group["momentum"]:
            velocities = [self._velocity(parameter) for parameter in parameters]
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, update)
            update = velocities
        torch._foreach_sub_(parameters, update)

    def _velocity(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "velocity" not in state:  # Unlike SGD's momentum_buffer, it includes the learning rate.
            state["velocity"] = torch.zeros_like(parameter)
        velocity: Tensor = state["velocity"]
        return velocity


def split(tensors: Iterable[Tensor], replicates: int) -> list[Tensor]:
    """Views of each replicate's part of stacked tensors: those of the first tensor, then those of the second."""
    return [part for tensor in tensors for part in tensor.chunk(replicates)]


def _ratios(group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
    weights, slopes = (torch.stack(torch._foreach_norm(tensors)) for tensors in (parameters, gradients))
    ratios = group["trust_coefficient"] * weights / (slopes + group["weight_decay"] * weights)
    return list(torch.where((weights > 0) & (slopes > 0), ratios, 1.0).unbind())
