"""What a model computes and keeps, from a single forward pass over shapes.

The same counts as `multiply_accumulates` and `activation_bytes`, which take a pass each for one, two and three images.
For a network of 1,000 layers a pass takes more than a second even if only shapes are computed.
"""

from dataclasses import dataclass

import torch

from wsnet.config.architectures import ModelConfig
from wsnet.config.norm import BatchNormConfig, GhostBatchNormConfig, OwnNormConfig
from wsnet.models.complexity import (
    activation_bytes,
    built,
    counting_device,
    kept_storages,
    multiply_accumulates,
    quick_forward,
)
from wsnet.models.operations import Operations

__all__ = ["ModelCounts", "count_model"]

_IMAGES = 10_007
"""A prime number larger than any other extent of a tensor here, so that what a batch needs once is not a multiple."""


@dataclass(frozen=True, kw_only=True)
class ModelCounts:
    """What one image costs.

    Attributes:
        multiply_accumulates: of its forward pass.
        activation_bytes: kept for its backward pass.
        operations: torch's operations in the forward pass of a batch, however many images it has.
    """

    multiply_accumulates: int
    activation_bytes: int
    operations: int


def count_model(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> ModelCounts:
    """Count a model's multiply-accumulates, activations and operations.

    Args:
        model: which model.
        classes: number of classes.
        shape: (channels, height, width) of an image.

    Raises:
        ValueError: as `multiply_accumulates`.
    """
    about = (model, classes, shape)
    if counting_device(*about) == "meta" and _is_the_same_for_many(model):
        return _of_many(*about)
    return ModelCounts(
        multiply_accumulates=multiply_accumulates(*about),
        activation_bytes=activation_bytes(*about),
        operations=_operations(*about),
    )


def _is_the_same_for_many(model: ModelConfig) -> bool:
    """Whether a pass over many images has the operations of a pass over few, and those of the evaluation."""
    norm = model.norm
    has_other_loops = norm.streams or isinstance(norm, GhostBatchNormConfig | OwnNormConfig)
    return not has_other_loops and model.name != "torchvision"  # Some of which have a second classifier in training.


def _of_many(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> ModelCounts:
    try:
        storages, counter = _pass(model, classes, shape, "meta", images=_IMAGES)
    except (RuntimeError, ValueError):
        multiply_accumulates(model, classes, shape)  # Which says what is wrong.
        raise
    return ModelCounts(
        multiply_accumulates=sum(counter.counts.values()) // (2 * _IMAGES),
        activation_bytes=sum(kept // _IMAGES for kept in storages if kept % _IMAGES == 0),
        operations=counter.operations,
    )


def _operations(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    device = counting_device(model, classes, shape)
    if device == "meta" and model.norm.streams:  # One operation on the CPU, as batch norm; on the meta device, thirty.
        model = model.model_copy(update={"norm": BatchNormConfig(name="batch")})
    return _pass(model, classes, shape, device, images=2)[1].operations


def _pass(
    model: ModelConfig, classes: int, shape: tuple[int, int, int], device: str, *, images: int
) -> tuple[list[int], Operations]:
    network = built(model, classes, shape, device).train()
    with torch.device(device), quick_forward(device), Operations({}) as counter:
        return kept_storages(network, torch.empty(images, *shape)), counter
