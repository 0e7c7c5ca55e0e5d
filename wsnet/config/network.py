"""What every architecture's configuration has."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from wsnet.config.base import Config, conflict
from wsnet.config.norm import BatchNormConfig, NormConfig

__all__ = ["ClassifierInit", "ConvInit", "NetworkConfig"]

ConvInit = Literal["fan_out", "fan_in", "uniform"]
ClassifierInit = Literal["uniform", "normal"]


def _absolute(value: bool | str) -> bool | str:
    """A worker on the same machine may run in another folder."""
    return str(Path(value).expanduser().absolute()) if isinstance(value, str) else value


class NetworkConfig(Config):
    """What every architecture has: how activations are normalized, and how weights are reparametrized and begin."""

    norm: NormConfig = BatchNormConfig(name="batch")
    """How activations are normalized."""
    weight: Literal["none", "standardized", "normalized"] = "none"
    """How each convolution's weights are reparametrized: not at all, standardized (Qiao et al. 2019), or normalized
    (Salimans & Kingma 2016: a direction and a gain for each filter). The classifier's never are."""
    weight_init: Literal["plain", "data_dependent"] = "plain"
    """How normalized weights begin: with the plain convolution's weights, or with a gain and a bias for each filter
    that standardize what it gives for the first batch (Salimans & Kingma 2016, section 3). Only without a norm."""
    residual_init: Literal["default", "zero"] = "default"
    """Whether each residual branch begins at zero: its last norm's scale (Goyal et al. 2017), or without a norm its
    last convolution's weights or gain (Zhang et al. 2019, Fixup). Deep residual nets without a norm need it."""

    init: ConvInit = "fan_out"
    """Initial weights of convolutions: normal with variance 2 / fan_out (He et al. 2015; the same as 2 / (k * k *
    out_channels)) or 2 / fan_in, biases 0; or torch's default, weights and biases uniform in +-1 / sqrt(fan_in)."""
    classifier_init: ClassifierInit = "uniform"
    """Initial weights of the classifier: torch's default, weights and biases uniform in +-1 / sqrt(fan_in); or normal
    with standard deviation 0.01, biases 0."""

    pretrained: Annotated[bool | str, AfterValidator(_absolute)] = False
    """Weights to begin from instead: true for torchvision's (where it has this network), or the path of a file of
    weights by the same names. A last linear layer for another number of classes is left out. The file's content is
    part of a trial's identity, its path is not."""
    checkpointing: bool = False
    """Keep only the input of each residual or dense block, and compute the block again in the backward pass: less
    memory, a third more time, the same numbers. Not with execution.compile."""

    @model_validator(mode="after")
    def _pretrained_has_an_effect(self) -> Self:
        if self.pretrained and self.weight_init == "data_dependent":
            text = "model.pretrained has no effect with weight_init 'data_dependent', which sets gains and biases anew"
            raise conflict((text, ("pretrained", "weight_init")))
        return self

    @model_validator(mode="after")
    def _weight_init_has_an_effect(self) -> Self:
        if self.weight_init == "data_dependent" and (self.weight != "normalized" or self.norm.name != "none"):
            text = (
                "model.weight_init 'data_dependent' needs weight 'normalized' and norm 'none', but got "
                f"weight {self.weight!r} and norm {self.norm.name!r}"
            )
            raise conflict((text, ("weight_init", "weight", "norm.name")))
        return self
