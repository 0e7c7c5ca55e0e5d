"""`optim`: the optimizer."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsnet.config.base import Config, Fraction, NonNegative, Positive, PositiveInt, as_tuple, conflict
from wsnet.config.schedule import ConstantConfig, ScheduleConfig

__all__ = ["AdamConfig", "AdamWConfig", "LARSConfig", "OptimConfig", "SGDConfig", "ScaleWithBatchConfig"]


class ScaleWithBatchConfig(Config):
    """The learning rate (and momentum) given are for batches of `base`; others get what the rule makes of them.

    With r = train.batch_size / base, lr and the schedule's final_lr are multiplied by r (linear, Goyal et al. 2017), by
    the root of r (sqrt, Krizhevsky 2014), or by r (1 - m^r) / (1 - m) while the momentum m becomes m^r (momentum, the
    released code of Chiley et al. 2019), so that momentum decays over the same number of images.
    """

    rule: Literal["linear", "sqrt", "momentum"]
    """What follows the batch size."""
    base: PositiveInt
    """Batch size that lr and momentum were chosen for."""


class _Optimizer(Config):
    lr: Positive
    """Learning rate before the schedule."""
    weight_decay: NonNegative = 0.0
    """L2 penalty, added to the gradient; with adamw a decay of the parameters themselves."""
    weight_decay_on: Literal["all", "weights"] = "all"
    """What decays: every parameter (norms and biases too), or those of convolutions and linear layers but biases."""
    clip_grad_norm: Positive | None = None
    """Gradients with a larger 2-norm, over all parameters together, are scaled down to it."""
    clip_grad_value: Positive | None = None
    """Each element of a gradient is kept within plus and minus this."""
    scale_with_batch: ScaleWithBatchConfig | None = None
    """Rescale lr and momentum with train.batch_size (unset: never)."""
    schedule: ScheduleConfig = ConstantConfig(name="constant")
    """How the learning rate moves."""

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> "_Optimizer":
        found = self._conflicts()
        if found:
            raise conflict(*found)
        return self

    def _conflicts(self) -> list[tuple[str, tuple[str, ...]]]:
        found: list[tuple[str, tuple[str, ...]]] = []
        if self.weight_decay_on != "all" and not self.weight_decay:
            text = "weight_decay_on has no effect without weight_decay; give weight_decay, such as 1e-4"
            found.append((text, ("weight_decay_on", "weight_decay")))
        if self.clip_grad_norm is not None and self.clip_grad_value is not None:
            text = "clip_grad_value and clip_grad_norm must not be given both; keep one of them"
            found.append((text, ("clip_grad_value", "clip_grad_norm")))
        return found


class SGDConfig(_Optimizer):
    """Stochastic gradient descent with momentum (torch's form)."""

    name: Literal["sgd"]
    momentum: Fraction = 0.0
    """Decay of the velocity."""
    nesterov: bool = False
    """Nesterov's momentum."""

    def _conflicts(self) -> list[tuple[str, tuple[str, ...]]]:
        found = super()._conflicts()
        if self.nesterov and not self.momentum:
            text = "nesterov has no effect without momentum; give momentum, such as 0.9"
            found.append((text, ("nesterov", "momentum")))
        return found


class _OwnStepSize(_Optimizer):
    """Optimizers whose steps do not grow with the gradient: the rule for SGD's momentum is not theirs."""

    def _conflicts(self) -> list[tuple[str, tuple[str, ...]]]:
        found = super()._conflicts()
        if self.scale_with_batch is not None and self.scale_with_batch.rule == "momentum":
            text = "rule 'momentum' is derived for 'sgd' alone; use rule 'linear' or 'sqrt'"
            found.append((text, ("scale_with_batch.rule", "name")))
        return found


class _Adam(_OwnStepSize):
    betas: Annotated[tuple[Fraction, Fraction], as_tuple()] = (0.9, 0.999)
    """Decays of the first and second moment."""
    eps: Positive = 1e-8
    """Added to the root of the second moment."""


class AdamConfig(_Adam):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"]


class AdamWConfig(_Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"]
    weight_decay: NonNegative = 0.01
    """Share of the parameters, times the learning rate, that each step takes off."""


class LARSConfig(_OwnStepSize):
    """Layer-wise adaptive rate scaling (You et al. 2017); norms and biases take steps of SGD."""

    name: Literal["lars"]
    momentum: Fraction = 0.9
    """Decay of the velocity."""
    trust_coefficient: Positive = 0.001
    """Length of a layer's step over the length of its weights, at learning rate 1 and without momentum."""


OptimConfig = Annotated[SGDConfig | AdamConfig | AdamWConfig | LARSConfig, Field(discriminator="name")]
