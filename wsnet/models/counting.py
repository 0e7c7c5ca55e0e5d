"""Parameters and multiply-accumulates of a model, without its memory or its arithmetic."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from wsnet.config.model import ModelConfig
from wsnet.config.norm import OwnNormConfig
from wsnet.layers.own_norm import where
from wsnet.models.build import ModelError, build

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
    with torch.device(_device(model)):
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
    with torch.device(_device(model)), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = build(model, classes=classes, shape=shape).eval()
        try:
            network(torch.zeros(1, *shape))
        except Exception as error:
            if not isinstance(model.norm, OwnNormConfig):
                raise
            raise ModelError(
                f"model {model.name!r} with norm {model.norm.name!r} can not compute an image: "
                f"{where(error, model.norm.source_file)}; python -m wsnet.layers check FILE.py:CLASS tells what is "
                "wrong with a norm"
            ) from error
    return int(counter.get_total_flops()) // 2


def _device(model: ModelConfig) -> str:
    """torch's meta device computes shapes only. That is more than can be asked of a norm from a user's file."""
    return "cpu" if isinstance(model.norm, OwnNormConfig) else "meta"
