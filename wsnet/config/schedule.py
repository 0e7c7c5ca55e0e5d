"""`optim.schedule`: how the learning rate moves."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsnet.config.base import Config, Fraction, NonNegative, Positive, PositiveInt, as_tuple, conflict

__all__ = [
    "ConstantConfig",
    "CosineConfig",
    "MultiStepConfig",
    "OneCycleConfig",
    "PolynomialConfig",
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


class _Falling(_Schedule):
    final_lr: NonNegative = 0.0
    """Learning rate at the end."""
    per: Literal["iteration", "epoch"] = "iteration"
    """How often the learning rate moves."""


class CosineConfig(_Falling):
    """Half a cosine from the learning rate down to `final_lr` (Loshchilov & Hutter 2017, without restarts)."""

    name: Literal["cosine"]


class PolynomialConfig(_Falling):
    """From the learning rate down to `final_lr` as (1 - t/T)^power; a straight line with power 1."""

    name: Literal["polynomial"]
    power: Positive = 1.0
    """Exponent; You et al. 2017 have 2."""


class OneCycleConfig(Config):
    """Up to the learning rate and down to almost nothing (Smith & Topin 2018), as torch's OneCycleLR.

    It has a rise of its own, so it takes no warm-up; the momentum stays.
    """

    name: Literal["one_cycle"]
    pct_start: Fraction = 0.3
    """Share of the steps in which the learning rate rises."""
    anneal: Literal["cosine", "linear"] = "cosine"
    """Form of rise and fall."""
    div_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 25.0
    """The learning rate begins at lr / div_factor."""
    final_div_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1e4
    """The learning rate ends at lr / div_factor / final_div_factor."""


ScheduleConfig = Annotated[
    ConstantConfig | MultiStepConfig | CosineConfig | PolynomialConfig | OneCycleConfig, Field(discriminator="name")
]
