"""`model.norm`: how activations are normalized. One class per norm, each with the options that it takes."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from wsnet.config.base import Config, NonNegative, NonNegativeInt, Positive, PositiveInt, conflict
from wsnet.config.own_class import BUILT_IN, OWN, OwnClass, is_own

__all__ = [
    "BatchNormConfig",
    "BatchRenormConfig",
    "EvoNormS0Config",
    "FilterResponseNormConfig",
    "GhostBatchNormConfig",
    "GroupNormConfig",
    "InstanceNormConfig",
    "LayerNormConfig",
    "NoNormConfig",
    "NormConfig",
    "OnlineNormConfig",
    "OwnNormConfig",
    "SyncBatchNormConfig",
]

Momentum = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Decay = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class _Norm(Config):
    """What the rest of the code needs to know about any norm."""

    over_batch: ClassVar[bool] = False
    """Whether images of one batch influence each other in training, so that their number matters."""
    over_workers: ClassVar[bool] = False
    """Whether a batch is normalized as a whole even when several workers share it."""
    streams: ClassVar[bool] = False
    """Whether statistics pass from each image to the next, so that each worker has its own stream of images."""

    @property
    def keeps_statistics(self) -> bool:
        """Whether evaluation normalizes by statistics accumulated during training."""
        return self.over_batch or self.streams

    def images_per_statistic(self, images: int) -> int:
        """Size of the smallest group with its own statistics when `images` images are normalized at once."""
        return images if self.over_batch else 1


class BatchNormConfig(_Norm):
    """Batch normalization (Ioffe & Szegedy 2015)."""

    over_batch = True

    name: Literal["batch"]
    momentum: Momentum = 0.1
    """Weight of the newest batch in the running statistics (torch's convention)."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""


class SyncBatchNormConfig(_Norm):
    """Batch normalization over the whole batch, even when several workers share it."""

    over_batch = over_workers = True

    name: Literal["sync_batch"]
    momentum: Momentum = 0.1
    """Weight of the newest batch in the running statistics (torch's convention)."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""


class GhostBatchNormConfig(_Norm):
    """Ghost batch normalization (Hoffer et al. 2017, algorithm 1): batch norm over sub-batches."""

    over_batch = True

    name: Literal["ghost_batch"]
    ghost_size: PositiveInt = 32
    """Images in a sub-batch (128 in the paper); the rest of a batch forms a last, smaller one."""
    momentum: Momentum = 0.1
    """Weight of the newest sub-batch in the running statistics (torch's convention)."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""

    def images_per_statistic(self, images: int) -> int:
        """Images in the last sub-batch."""
        return images % self.ghost_size or min(images, self.ghost_size)


class BatchRenormConfig(_Norm):
    """Batch renormalization (Ioffe 2017). The default steps are the paper's: reduce them for shorter training."""

    over_batch = True

    name: Literal["batch_renorm"]
    momentum: Momentum = 0.01
    """Weight of the newest batch in the running mean and standard deviation (the paper's alpha)."""
    r_max: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.0
    """Final bounds of the correction's scale: 1 / r_max to r_max."""
    d_max: NonNegative = 5.0
    """Final bounds of the correction's shift: -d_max to d_max."""
    warmup_steps: NonNegativeInt = 5000
    """Steps of plain batch normalization (r_max 1, d_max 0), before both bounds rise linearly."""
    r_max_steps: NonNegativeInt = 40000
    """Steps after which r_max has its final value."""
    d_max_steps: NonNegativeInt = 25000
    """Steps after which d_max has its final value."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""

    @model_validator(mode="after")
    def _bounds_rise_after_the_warmup(self) -> "BatchRenormConfig":
        found = [
            (f"{key} must be at least warmup_steps, but got {key}={value} with warmup_steps={self.warmup_steps}", key)
            for key, value in (("r_max_steps", self.r_max_steps), ("d_max_steps", self.d_max_steps))
            if value < self.warmup_steps
        ]
        if found:
            raise conflict(*((text, (key, "warmup_steps")) for text, key in found))
        return self


class GroupNormConfig(_Norm):
    """Group normalization (Wu & He 2018)."""

    name: Literal["group"]
    groups: PositiveInt = 32
    """Groups that the channels are split into; must divide the number of channels of every normalized layer."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""


class LayerNormConfig(_Norm):
    """Layer normalization (Ba et al. 2016) over channels, height and width of each image."""

    name: Literal["layer"]
    affine: Literal["element", "channel", "none"] = "element"
    """Scale and shift per element (C x H x W, as in the paper and in Chiley et al. 2019), per channel, or none."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""


class InstanceNormConfig(_Norm):
    """Instance normalization (Ulyanov et al. 2016) over height and width of each image and channel."""

    name: Literal["instance"]
    affine: bool = True
    """Whether each channel has a learned scale and shift."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""


class FilterResponseNormConfig(_Norm):
    """Filter response normalization (Singh & Krishnan 2020). Its thresholded linear unit replaces every ReLU."""

    name: Literal["filter_response"]
    eps: Positive = 1e-6
    """Added to the mean square under the square root."""
    learned_eps: bool = False
    """Learn an additional eps for each channel, starting at 1e-4, as the paper does for 1x1 maps, which need it."""


class EvoNormS0Config(_Norm):
    """EvoNorm-S0 (Liu et al. 2020): a norm with its own activation, x * sigmoid(v x), instead of a ReLU."""

    name: Literal["evonorm_s0"]
    groups: PositiveInt = 32
    """Groups that the channels are split into; must divide the number of channels of every normalized layer."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""


class NoNormConfig(_Norm):
    """No normalization: the identity."""

    name: Literal["none"]


class OnlineNormConfig(_Norm):
    """Online normalization (Chiley et al. 2019): running statistics over preceding images, forward and backward."""

    streams = True

    name: Literal["online"]
    forward_decay: Decay = 0.999
    """Decay per image of the running mean and variance."""
    backward_decay: Decay = 0.99
    """Decay per image of the running quantities that correct the gradient."""
    error_compensation: Literal["ls", "ac", "none"] = "ls"
    """Compensation for the error of stale statistics: layer scaling, activation clamping, or nothing."""
    eps: Positive = 1e-5
    """Added to the variance under the square root."""


class OwnNormConfig(_Norm, OwnClass):
    """A norm from a Python file, `mynorm.py:MyNorm`; see docs/own-norm.md. Other keys are constructor options."""

    batch_statistics: bool = True
    """Whether images of one batch influence each other in training. By default they are assumed
    to, so that the literal loop over micro-batches is needed; set false if they do not."""

    @property
    def over_batch(self) -> bool:  # type: ignore[override]  # The others have a class variable.
        """Whether images of one batch influence each other in training."""
        return self.batch_statistics


_BuiltIn = Annotated[
    BatchNormConfig
    | SyncBatchNormConfig
    | GhostBatchNormConfig
    | BatchRenormConfig
    | GroupNormConfig
    | LayerNormConfig
    | InstanceNormConfig
    | FilterResponseNormConfig
    | EvoNormS0Config
    | OnlineNormConfig
    | NoNormConfig,
    Field(discriminator="name"),
]


def _tag(data: Any) -> str:
    return OWN if is_own(data.get("name") if isinstance(data, dict) else getattr(data, "name", None)) else BUILT_IN


NormConfig = Annotated[
    Annotated[_BuiltIn, Tag(BUILT_IN)] | Annotated[OwnNormConfig, Tag(OWN)],
    Discriminator(_tag),
]
