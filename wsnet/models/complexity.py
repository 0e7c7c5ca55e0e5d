"""Parameters and multiply-accumulates of a model, without its memory or its arithmetic.

There are two conventions for the cost of one image's forward pass, and a number means nothing without its convention:

* multiply-accumulates, as torch's own counter finds them: convolutions and linear layers, and nothing else;
* thop's (the Python package of that name, which published tables call "FLOPs"): besides, 2 for each element that batch
  normalization gives, k * k + 1 for each that average pooling over k x k gives, and (2 in - 1) out for a linear layer.
  Instance normalization, activations, max-pooling and sums are free.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from wsnet.config.model import ModelConfig
from wsnet.config.norm import OwnNormConfig
from wsnet.layers.own_norm import where
from wsnet.models.build import ModelError, build

__all__ = ["CONVENTION", "THOP", "counting_device", "multiply_accumulates", "parameter_count", "thop_operations"]

CONVENTION = "multiply-accumulates of convolutions and linear layers (torch's counter)"
"""Name of the convention of `multiply_accumulates`, to be shown beside its numbers."""
THOP = "multiply-accumulates in thop's convention (batch norm, average pooling and twice the linear layers besides)"
"""Name of the convention of `thop_operations`."""

_Shape = tuple[int, ...]


def parameter_count(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Number of trained values of a model (norms' scales and shifts too, running statistics not).

    Args:
        model: the model's configuration.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: as `build`.
    """
    with torch.device(counting_device(model)):
        return sum(parameter.numel() for parameter in build(model, classes=classes, shape=shape).parameters())


def multiply_accumulates(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one image's forward pass: convolutions and linear layers, as papers count "FLOPs".

    Norms, activations, pooling, additions and biases are not counted.

    Args:
        model: the model's configuration.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: as `build`, or the images are too small.
    """
    return sum(_counted(model, classes, shape, {}).values()) // 2


def thop_operations(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Cost of one image's forward pass in thop's convention.

    Args:
        model: the model's configuration.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: as `build`, or the images are too small.
    """
    counts = _counted(model, classes, shape, _THOP)
    return sum(count if op in _THOP else count // 2 for op, count in counts.items())


def counting_device(model: ModelConfig) -> str:
    """torch's meta device computes shapes only. That is more than can be asked of a norm from a user's file."""
    return "cpu" if isinstance(model.norm, OwnNormConfig) else "meta"


def _counted(
    model: ModelConfig, classes: int, shape: tuple[int, int, int], rules: dict[Any, Callable[..., int]]
) -> dict[Any, int]:
    """Operations of one image's forward pass by torch's name of the operator; two for a multiply-accumulate."""
    with torch.device(counting_device(model)), torch.no_grad():
        network, image = build(model, classes=classes, shape=shape).eval(), torch.zeros(1, *shape)
        with FlopCounterMode(display=False, custom_mapping=rules) as counter:
            try:
                network(image)
            except Exception as error:
                if isinstance(model.norm, OwnNormConfig):
                    raise ModelError(
                        f"model {model.name!r} with norm {model.norm.name!r} can not compute an image: "
                        f"{where(error, model.norm.source_file)}; python -m wsnet.layers check FILE.py:CLASS tells "
                        "what is wrong with a norm"
                    ) from error
                if not isinstance(error, RuntimeError):
                    raise
                text = f"model {model.name!r} can not take images of {'x'.join(map(str, shape))}: {error}"
                raise ModelError(text) from error
    counts: dict[Any, int] = counter.get_flop_counts()["Global"]
    return counts


def _batch_norm(
    x: _Shape, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *inputs: Any, **options: Any
) -> int:
    # In evaluation only instance norm, which calls the same operator, takes statistics of its input.
    return 0 if training else 2 * _product(x)


def _batch_norm_in_evaluation(x: _Shape, *inputs: Any, **options: Any) -> int:
    return 2 * _product(x)


def _pooled(x: _Shape, *inputs: Any, out_shape: _Shape, **options: Any) -> int:
    """An average over all of a map: each element once, and a division for each output."""
    return _product(x) + _product(out_shape)


def _average_pool(x: _Shape, kernel: list[int], *inputs: Any, out_shape: _Shape, **options: Any) -> int:
    return (kernel[0] * kernel[-1] + 1) * _product(out_shape)


def _linear(bias: _Shape, x: _Shape, weight: _Shape, *inputs: Any, out_shape: _Shape, **options: Any) -> int:
    return (2 * x[-1] - 1) * _product(out_shape)


def _product(shape: _Shape) -> int:
    return torch.Size(shape).numel()


_aten = torch.ops.aten
_THOP: dict[Any, Callable[..., int]] = {
    _aten.native_batch_norm: _batch_norm,
    _aten._native_batch_norm_legit_no_training: _batch_norm_in_evaluation,
    _aten.mean: _pooled,
    _aten._adaptive_avg_pool2d: _pooled,
    _aten.avg_pool2d: _average_pool,
    _aten.addmm: _linear,
}
"""What thop counts otherwise than two operations for a multiply-accumulate."""
