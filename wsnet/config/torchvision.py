"""`model` of torchvision's own networks, for comparison."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wsnet.config.base import conflict
from wsnet.config.network import NetworkConfig

__all__ = ["TorchvisionConfig"]

_THEIR_OWN = ("norm", "weight", "weight_init", "residual_init", "init", "classifier_init")


class TorchvisionConfig(NetworkConfig):
    """A classification network of torchvision, with its own norms, initial weights and dropout rates."""

    name: Literal["torchvision"]
    architecture: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    """Its name in torchvision.models, such as squeezenet1_0, inception_v3 (299x299), mobilenet_v2."""

    @model_validator(mode="after")
    def _layers_are_its_own(self) -> Self:
        fields = type(self).model_fields
        found = [
            (
                f"model.{key} has no effect on torchvision's networks, which have their own layers; leave it out, "
                "or take the architecture from here (python -m wsnet.models lists them)",
                (key, "name"),
            )
            for key in _THEIR_OWN
            if getattr(self, key) != fields[key].default
        ]
        if found:
            raise conflict(*found)
        return self
