"""The sizes of a sweep's models: counted without training them, each structure once."""

from dataclasses import dataclass, replace

from wsnet.config import TrialConfig
from wsnet.config.architectures import ModelConfig, ThreeStageConfig
from wsnet.config.datasets import SetFacts
from wsnet.config.depths import RESIDUAL_DEPTH
from wsnet.config.norm import OwnNormConfig
from wsnet.models import ModelError, count_model, parameter_count, pretrained_hash

__all__ = ["ModelSize", "ModelSizes", "structure"]

_BLOCKS = (2, 3)
"""In each stage of the two shallow networks."""
_MOST_BLOCKS = 200
"""In each stage, up to which a network is not too large for any machine: 1,800 layers."""


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

    def plus(self, times: int, more: "ModelSize", less: "ModelSize") -> "ModelSize":
        """This size and so many times the difference of two others."""
        counts = ("parameters", "multiply_accumulates", "activation_bytes", "operations")
        return replace(
            self, **{key: getattr(self, key) + times * (getattr(more, key) - getattr(less, key)) for key in counts}
        )


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
                self._known[about] = _of_equal_blocks(*about) or _size(*about)
            except ModelError as error:
                self._known[about] = error
        return self._known[about]


def _size(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> ModelSize:
    parameters, counts = parameter_count(model, classes, shape), count_model(model, classes, shape)
    return ModelSize(
        parameters=parameters,
        multiply_accumulates=counts.multiply_accumulates,
        activation_bytes=counts.activation_bytes,
        operations=counts.operations,
        pretrained=pretrained_hash(model),
    )


def _of_equal_blocks(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> ModelSize | None:
    """The size of a deep network from those of two shallow ones, if all blocks of a stage but the first are equal.

    A network of 1,000 layers takes seconds to build and to pass through, even without values. None for other networks,
    shallow ones, those of so many layers that they may be too large, and where other things than the blocks count.
    """
    if not isinstance(model, ThreeStageConfig) or model.checkpointing or model.pretrained or model.norm.streams:
        return None
    rule = RESIDUAL_DEPTH[model.block]
    blocks = rule.blocks(model.depth)
    if not _BLOCKS[1] < blocks <= _MOST_BLOCKS:
        return None
    two, three = (
        _size(model.model_copy(update={"depth": rule.step * n + rule.others}), classes, shape) for n in _BLOCKS
    )
    return three.plus(blocks - _BLOCKS[1], three, two)


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
