"""The optimizer of a trial: its parameter groups, the learning rate of every step, clipping, and its state.

The learning rate comes from `optim.lr`, is scaled for the batch size (`scaled_optim`), and follows the schedule
(`learning_rate`) from step to step.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from wsnet.config.optim import (
    AdamConfig,
    AdamWConfig,
    CosineConfig,
    LARSConfig,
    MultiStepConfig,
    OneCycleConfig,
    OptimConfig,
    PolynomialConfig,
    ScheduleConfig,
)
from wsnet.config.scaling import scaled_optim
from wsnet.training.lars import LARS, split
from wsnet.without_compiler import without_compiler

__all__ = ["Optimizer", "build_optimizer", "learning_rate"]


class Optimizer:
    """An optimizer over all parameters of a model, configured by a trial's options.

    Args:
        optim: the trial's options.
        model: the network.
        batch_size: images per optimizer step, over all workers together.
        steps_per_epoch: optimizer steps in one epoch.
        epochs: epochs in all.
        replicates: networks side by side in the model (see `wsnet.layers.stacking`); each is clipped and adapted alone.

    Attributes:
        base: torch's optimizer.
    """

    def __init__(
        self,
        optim: OptimConfig,
        model: nn.Module,
        *,
        batch_size: int,
        steps_per_epoch: int,
        epochs: int,
        replicates: int = 1,
    ) -> None:
        self._optim = scaled_optim(optim, batch_size)
        self._model, self._steps_per_epoch, self._epochs = model, steps_per_epoch, epochs
        self._replicates = replicates
        self.base = build_optimizer(self._optim, model, replicates=replicates)

    def learning_rate(self, step: int) -> float:
        """Learning rate of one step, counted from 0 over the whole training."""
        optim, steps = self._optim, self._steps_per_epoch
        return learning_rate(optim.schedule, optim.lr, step=step, steps_per_epoch=steps, epochs=self._epochs)

    def set_learning_rate(self, step: int) -> None:
        """Give all parameters the learning rate of this step."""
        for group in self.base.param_groups:
            group["lr"] = self.learning_rate(step)

    @without_compiler()
    def zero_grad(self) -> None:
        """Clear the gradients of the previous step."""
        self.base.zero_grad(set_to_none=True)

    @torch.no_grad()
    def clip_gradients(self) -> None:
        """Apply `clip_grad_norm` or `clip_grad_value` to a step's whole gradient, without waiting for the device."""
        if self._optim.clip_grad_norm is not None and self._replicates > 1:
            _clip_each(self._model, self._optim.clip_grad_norm, self._replicates)
        elif self._optim.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self._model.parameters(), self._optim.clip_grad_norm)
        if self._optim.clip_grad_value is not None:
            nn.utils.clip_grad_value_(self._model.parameters(), self._optim.clip_grad_value)

    @without_compiler()
    def step(self) -> None:
        """Update the parameters."""
        self.base.step()

    def state_dict(self) -> dict[int, dict[str, Any]]:
        """Moments and step counts, by the parameter's index in the model, independent of parameter groups."""
        numbered, state = enumerate(self._model.parameters()), self.base.state
        return {number: state[parameter] for number, parameter in numbered if parameter in state}

    @without_compiler()
    @torch.no_grad()
    def load_state_dict(self, saved: dict[int, dict[str, Any]]) -> None:
        """Load moments and step counts; options (weight decay, ...) stay as they are.

        Args:
            saved: `state_dict` of another optimizer.

        Raises:
            ValueError: that optimizer is of another kind.
        """
        unknown = {name for state in saved.values() for name in state} - _state_names(self.base)
        if unknown:
            kind = type(self.base).__name__
            raise ValueError(f"{kind} cannot load the state of another kind of optimizer: {sorted(unknown)}")
        numbers = {parameter: number for number, parameter in enumerate(self._model.parameters())}
        in_groups = [numbers[parameter] for group in self.base.param_groups for parameter in group["params"]]
        state = {place: saved[number] for place, number in enumerate(in_groups) if number in saved}
        self.base.load_state_dict({"state": state, "param_groups": self.base.state_dict()["param_groups"]})
        for parameter, values in self.base.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    # The fused kernels run through memory in order and ignore strides: if a moment's memory format
                    # differed from its parameter's, they would silently mix up the elements.
                    is_moment = value.shape == parameter.shape
                    values[name] = torch.empty_like(parameter).copy_(value) if is_moment else value.clone()


@without_compiler()
def build_optimizer(optim: OptimConfig, model: nn.Module, *, replicates: int = 1) -> torch.optim.Optimizer:
    """Build the optimizer over all parameters of a model, from options already passed through `scaled_optim`.

    Fused if torch supports it: one kernel for all parameters. For a ResNet-20 the update is otherwise a loop over 65
    small tensors, which takes 1.5 % of a training step on a CPU.
    """
    assert optim.scale_with_batch is None, "pass it through wsnet.config.scaling.scaled_optim"
    groups = _groups(optim, model)
    if isinstance(optim, LARSConfig):
        trust = optim.trust_coefficient
        return LARS(groups, lr=optim.lr, momentum=optim.momentum, trust_coefficient=trust, replicates=replicates)
    if isinstance(optim, AdamConfig | AdamWConfig):
        kind = torch.optim.AdamW if isinstance(optim, AdamWConfig) else torch.optim.Adam
        return kind(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps, fused=True)
    return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum, nesterov=optim.nesterov, fused=True)


def _clip_each(model: nn.Module, largest: float, replicates: int) -> None:
    """`clip_grad_norm_` of each replicate's own gradient."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    parts = split(gradients, replicates)
    norms = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(parts)).view(-1, replicates), dim=0)
    factors = (largest / (norms + 1e-6)).clamp(max=1)
    torch._foreach_mul_(parts, list(factors.repeat(len(gradients)).unbind()))


def _groups(optim: OptimConfig, model: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups: weights, and all others; a single group if that makes no difference."""
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
    """Parameters of convolutions and linear layers, except biases.

    Chosen by the layer they belong to, not by shape: layer norm's scale may be C x H x W. The gain of a normalized
    filter counts as a weight: it is the filter's norm, so that decaying it is an L2 penalty on the filter.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return {value for layer in layers for name, value in layer.named_parameters(recurse=False) if name != "bias"}


def _state_names(optimizer: torch.optim.Optimizer) -> set[str]:
    """Names of what an optimizer of this kind keeps for each parameter."""
    if isinstance(optimizer, LARS):
        return {"velocity"}
    if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        return {"step", "exp_avg", "exp_avg_sq"}
    return {"momentum_buffer"}


def learning_rate(schedule: ScheduleConfig, lr: float, *, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Learning rate of one optimizer step.

    Args:
        schedule: how the learning rate changes.
        lr: learning rate before the schedule.
        step: number of the step, from 0, over the whole training.
        steps_per_epoch: steps in one epoch.
        epochs: epochs in all.

    Returns:
        The scheduled rate, times the completed fraction of the warm-up: (step + 1) / (warm-up steps) while that is
        below 1 (Goyal et al. 2017, section 2.2, from nearly 0). One-cycle schedules have their own warm-up instead.
    """
    if isinstance(schedule, OneCycleConfig):
        return _one_cycle(schedule, lr, step, steps_per_epoch * epochs)
    warmup = schedule.warmup_epochs * steps_per_epoch
    share = min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0
    return share * _scheduled(schedule, lr, step, steps_per_epoch, epochs)


def _scheduled(schedule: ScheduleConfig, lr: float, step: int, steps_per_epoch: int, epochs: int) -> float:
    epoch = step // steps_per_epoch
    if isinstance(schedule, MultiStepConfig):
        return float(lr * schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones))
    if isinstance(schedule, CosineConfig | PolynomialConfig):
        done = epoch / epochs if schedule.per == "epoch" else step / (steps_per_epoch * epochs)
        if isinstance(schedule, PolynomialConfig):
            return schedule.final_lr + (lr - schedule.final_lr) * float((1 - done) ** schedule.power)
        return schedule.final_lr + (lr - schedule.final_lr) * 0.5 * (1 + math.cos(math.pi * done))
    return lr


def _one_cycle(schedule: OneCycleConfig, lr: float, step: int, steps: int) -> float:
    """The phases of torch's OneCycleLR: the peak is at step `pct_start * steps - 1`, the end at the last step."""
    start, end = lr / schedule.div_factor, lr / schedule.div_factor / schedule.final_div_factor
    peak = schedule.pct_start * steps - 1
    if step <= peak:
        return _between(schedule, start, lr, step / peak if peak else 1.0)
    return _between(schedule, lr, end, (step - peak) / (steps - 1 - peak))


def _between(schedule: OneCycleConfig, first: float, last: float, share: float) -> float:
    if schedule.anneal == "linear":
        return first + (last - first) * share
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
