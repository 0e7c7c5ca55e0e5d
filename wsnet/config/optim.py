"""`optim`: the optimizer and its learning-rate schedule."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsnet.config.base import Config, Fraction, NonNegative, Positive, PositiveInt, as_tuple, conflict

__all__ = [
    "AdamConfig",
    "ConstantConfig",
    "CosineConfig",
    "MultiStepConfig",
    "OptimConfig",
    "SGDConfig",
    "ScheduleConfig",
]


class _Schedule(Config):
    warmup_epochs: NonNegative = 0.0
    """Epochs over which the learning rate rises linearly, step by step, to what the schedule asks for."""


class ConstantConfig(_Schedule):
    """The learning rate stays what it is."""

    name: Literal["constant"]


class MultiStepConfig(_Schedule):
    """The learning rate is multiplied by gamma at each milestone."""

    name: Literal["multistep"]
    milestones: Annotated[tuple[PositiveInt, ...], as_tuple()]
    """Epochs, counted as finished epochs, after which the learning rate drops; strictly rising."""
    gamma: Positive = 0.1
    """Factor at each milestone."""

    @model_validator(mode="after")
    def _milestones_rise(self) -> "MultiStepConfig":
        if not self.milestones or list(self.milestones) != sorted(set(self.milestones)):
            text = f"milestones must be given and rise strictly, but got {list(self.milestones)}"
            raise conflict((text, ("milestones",)))
        return self


class CosineConfig(_Schedule):
    """Half a cosine from the learning rate down to `final_lr` (Loshchilov & Hutter 2017, without restarts)."""

    name: Literal["cosine"]
    final_lr: NonNegative = 0.0
    """Learning rate at the end."""
    per: Literal["iteration", "epoch"] = "iteration"
    """How often the learning rate moves."""


ScheduleConfig = Annotated[ConstantConfig | MultiStepConfig | CosineConfig, Field(discriminator="name")]


class _Optimizer(Config):
    lr: Positive
    """Learning rate before the schedule."""
    weight_decay: NonNegative = 0.0
    """L2 penalty, added to the gradient of every parameter (norms and biases too)."""
    schedule: ScheduleConfig = ConstantConfig(name="constant")
    """How the learning rate moves."""


class SGDConfig(_Optimizer):
    """Stochastic gradient descent with momentum (torch's form)."""

    name: Literal["sgd"]
    momentum: Fraction = 0.0
    """Decay of the velocity."""
    nesterov: bool = False
    """Nesterov's momentum."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "SGDConfig":
        if self.nesterov and not self.momentum:
            text = "nesterov has no effect without momentum; give momentum, such as 0.9"
            raise conflict((text, ("nesterov", "momentum")))
        return self


class AdamConfig(_Optimizer):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"]
    betas: Annotated[tuple[Fraction, Fraction], as_tuple()] = (0.9, 0.999)
    """Decays of the first and second moment."""
    eps: Positive = 1e-8
    """Added to the root of the second moment."""


OptimConfig = Annotated[SGDConfig | AdamConfig, Field(discriminator="name")]
