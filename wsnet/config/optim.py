"""`optim`: the optimizer, and the schedule of its learning rate."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsnet.config.base import Config, Fraction, NonNegative, Positive, PositiveInt, as_tuple, conflict

__all__ = [
    "AdamConfig",
    "AdamWConfig",
    "ConstantConfig",
    "CosineConfig",
    "LARSConfig",
    "MultiStepConfig",
    "OneCycleConfig",
    "OptimConfig",
    "PolynomialConfig",
    "SGDConfig",
    "ScaleWithBatchConfig",
    "ScheduleConfig",
]


class _Schedule(Config):
    warmup_epochs: NonNegative = 0.0
    """Epochs over which the learning rate rises linearly, step by step, to the schedule's value."""


class ConstantConfig(_Schedule):
    """The learning rate stays constant."""

    name: Literal["constant"]


class MultiStepConfig(_Schedule):
    """The learning rate is multiplied by gamma at each milestone."""

    name: Literal["multistep"]
    milestones: Annotated[tuple[PositiveInt, ...], as_tuple()]
    """Numbers of finished epochs after which the learning rate drops; strictly increasing."""
    gamma: Positive = 0.1
    """Factor at each milestone."""

    @model_validator(mode="after")
    def _milestones_rise(self) -> "MultiStepConfig":
        if not self.milestones or list(self.milestones) != sorted(set(self.milestones)):
            text = f"milestones must be given and rise strictly, but got {list(self.milestones)}"
            raise conflict((text, ("milestones",)))
        return self


class _Falling(_Schedule):
    final_lr: NonNegative = 0.0
    """Learning rate at the end."""
    per: Literal["iteration", "epoch"] = "iteration"
    """How often the learning rate changes."""


class CosineConfig(_Falling):
    """Half a cosine from the learning rate down to `final_lr` (Loshchilov & Hutter 2017, without restarts)."""

    name: Literal["cosine"]


class PolynomialConfig(_Falling):
    """From the learning rate down to `final_lr` as (1 - t/T)^power; a straight line with power 1."""

    name: Literal["polynomial"]
    power: Positive = 1.0
    """Exponent; You et al. 2017 use 2."""


class OneCycleConfig(Config):
    """Up to the learning rate and down to almost nothing (Smith & Topin 2018), as torch's OneCycleLR.

    It includes its own warm-up, so warmup_epochs is not an option; momentum stays constant.
    """

    name: Literal["one_cycle"]
    pct_start: Fraction = 0.3
    """Fraction of the steps in which the learning rate rises."""
    anneal: Literal["cosine", "linear"] = "cosine"
    """Shape of the rise and the fall."""
    div_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 25.0
    """The learning rate begins at lr / div_factor."""
    final_div_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1e4
    """The learning rate ends at lr / div_factor / final_div_factor."""


ScheduleConfig = Annotated[
    ConstantConfig | MultiStepConfig | CosineConfig | PolynomialConfig | OneCycleConfig, Field(discriminator="name")
]


class ScaleWithBatchConfig(Config):
    """The given learning rate (and momentum) are for batches of `base` images; a rule adapts them to other batch sizes.

    With r = train.batch_size / base, lr and the schedule's final_lr are multiplied by r (linear, Goyal et al. 2017), by
    the square root of r (sqrt, Krizhevsky 2014), or by r (1 - m^r) / (1 - m) while the momentum m becomes m^r
    (momentum, the released code of Chiley et al. 2019), so that momentum decays over the same number of images.
    """

    rule: Literal["linear", "sqrt", "momentum"]
    """How lr (and momentum) follow the batch size."""
    base: PositiveInt
    """Batch size that lr and momentum were chosen for."""


class _Optimizer(Config):
    lr: Positive
    """Learning rate before the schedule."""
    weight_decay: NonNegative = 0.0
    """Coefficient of the L2 penalty added to the gradient; with adamw, of a decay of the parameters themselves."""
    weight_decay_on: Literal["all", "weights"] = "all"
    """What decays: every parameter (norms and biases too), or only the weights of convolutions and linear layers."""
    clip_grad_norm: Positive | None = None
    """Gradients with a larger 2-norm, over all parameters together, are scaled down to it."""
    clip_grad_value: Positive | None = None
    """Each element of the gradient is clamped to plus or minus this."""
    scale_with_batch: ScaleWithBatchConfig | None = None
    """Rescale lr and momentum with train.batch_size (unset: never)."""
    schedule: ScheduleConfig = ConstantConfig(name="constant")
    """Learning-rate schedule."""

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
    """Optimizers whose steps do not grow with the gradient, so that SGD's momentum rule does not apply to them."""

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
    """Added to the square root of the second moment."""


class AdamConfig(_Adam):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"]


class AdamWConfig(_Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"]
    weight_decay: NonNegative = 0.01
    """Each step shrinks the parameters by this fraction, times the learning rate."""


class LARSConfig(_OwnStepSize):
    """Layer-wise adaptive rate scaling (You et al. 2017); norms and biases take SGD steps."""

    name: Literal["lars"]
    momentum: Fraction = 0.9
    """Decay of the velocity."""
    trust_coefficient: Positive = 0.001
    """Ratio of a layer's step norm to its weight norm, at learning rate 1 and without momentum."""


OptimConfig = Annotated[SGDConfig | AdamConfig | AdamWConfig | LARSConfig, Field(discriminator="name")]
