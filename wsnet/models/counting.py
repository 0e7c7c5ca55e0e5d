"""Parameters and multiply-accumulates of a model, without its memory or its arithmetic."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from wsnet.config.model import ModelConfig
from wsnet.models.build import build

__all__ = ["multiply_accumulates", "parameter_count"]


def parameter_count(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Number of trained values of a model (norms' scales and shifts too, running statistics not).

    Args:
        model: the model's configuration.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: as `build`.
    """
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(model, classes=classes, shape=shape).parameters())


def multiply_accumulates(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one image's forward pass: convolutions and linear layers, as papers count "FLOPs".

    Norms, activations, pooling, additions and biases are not counted.

    Args:
        model: the model's configuration.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: as `build`.
    """
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        build(model, classes=classes, shape=shape).eval()(torch.empty(1, *shape))
    return int(counter.get_total_flops()) // 2
