"""The sizes of a sweep's models: counted without training them, each structure once."""

from dataclasses import dataclass

from wsnet.config import TrialConfig
from wsnet.config.architectures import ModelConfig
from wsnet.config.datasets import SetFacts
from wsnet.config.norm import OwnNormConfig
from wsnet.models import ModelError, count_model, parameter_count, pretrained_hash

__all__ = ["ModelSize", "ModelSizes", "structure"]


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """How big a setting's model is.

    Attributes:
        parameters: number of trained values.
        multiply_accumulates: of one image's forward pass.
        activation_bytes: bytes kept per image for the backward pass.
        operations: torch's operations in the forward pass of a batch.
        pretrained: hash of the file of pretrained weights that training starts from, or None.
    """

    parameters: int
    multiply_accumulates: int
    activation_bytes: int
    operations: int
    pretrained: str | None


class ModelSizes:
    """The sizes of models, each counted when it is first asked for."""

    def __init__(self) -> None:
        self._known: dict[object, ModelSize | ModelError] = {}  # By structure.
        self._of_models: dict[object, ModelSize | ModelError] = {}

    def of(self, config: TrialConfig) -> ModelSize | ModelError:
        """The size of a setting's model, or why it cannot be built."""
        facts = config.data.facts
        key = (config.model, facts.classes, facts.shape)
        if key not in self._of_models:
            self._of_models[key] = self._counted(structure(config.model), facts)
        return self._of_models[key]

    def _counted(self, model: ModelConfig, facts: SetFacts) -> ModelSize | ModelError:
        about = (model, facts.classes, facts.shape)
        if about not in self._known:
            try:
                parameters, counts = parameter_count(*about), count_model(*about)
                self._known[about] = ModelSize(
                    parameters=parameters,
                    multiply_accumulates=counts.multiply_accumulates,
                    activation_bytes=counts.activation_bytes,
                    operations=counts.operations,
                    pretrained=pretrained_hash(model),
                )
            except ModelError as error:
                self._known[about] = error
        return self._known[about]


def structure(model: ModelConfig) -> ModelConfig:
    """The model with its norm's fractional options (decays, momentum, eps) at their defaults.

    They change neither shapes nor operations, so a sweep over decays has a single model to count. What the options of
    a user's own norm change is not known.
    """
    norm = model.norm
    if isinstance(norm, OwnNormConfig):
        return model
    fields = type(norm).model_fields
    usual = {key: fields[key].default for key, value in norm if isinstance(value, float)}
    return model.model_copy(update={"norm": norm.model_copy(update=usual)})
