"""Parameters, multiply-accumulates and activation memory of a model.

The functions take a model's configuration, the number of classes and the shape (channels, height, width) of an image.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from wsnet.called import called
from wsnet.config.architectures import ModelConfig
from wsnet.config.norm import NoNormConfig, OwnNormConfig
from wsnet.cpu_threads import cpu_threads
from wsnet.layers.own_norm import where
from wsnet.models.build import ModelError, build
from wsnet.models.operations import THOP_FORMULAS, Formulas, Operations, ShapesOfNorms
from wsnet.without_compiler import without_compiler

__all__ = [
    "CONVENTION",
    "THOP",
    "activation_bytes",
    "built",
    "counting_device",
    "kept_storages",
    "multiply_accumulates",
    "parameter_count",
    "quick_forward",
    "saved_bytes",
    "thop_operations",
]

CONVENTION = "multiply-accumulates of convolutions and linear layers (torch's counter)"
"""Name of the convention of `multiply_accumulates`, to be shown with its numbers."""
THOP = "multiply-accumulates in thop's convention (also batch norm and average pooling; linear layers count twice)"
"""Name of the convention of `thop_operations`."""

_SIZES = {"depth", "width", "stem_width", "widening", "growth_rate", "cardinality", "group_width", "alpha"}
"""Options that make a model larger."""

_MOST_PARAMETERS = 10_000_000_000
"""Of any model: 40 GB in float32, before gradients and the optimizer's state."""

_FEW = 300_000_000
"""Multiply-accumulates of a forward pass up to which a model is tried with values, on the CPU. The meta device imports
sympy, 1 s, and runs some operations in Python."""


def parameter_count(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Number of trainable parameters of a model (including norms' scales and shifts, not running statistics).

    Raises:
        ValueError: as `build`, or the model is too large for any machine. No memory has been allocated for it then.
    """
    if isinstance(model.norm, OwnNormConfig):  # It may need values, so first look at how large the rest is.
        _count_by_shapes(model.model_copy(update={"norm": NoNormConfig(name="none")}), classes, shape)
        return _count(model, classes, shape, "cpu")
    return _count_by_shapes(model, classes, shape)


@contextmanager
def quick_forward(device: str) -> Iterator[None]:
    """Within the context, a forward pass of a few images is quick.

    On the meta device no function for shapes imports torch's compiler. (Only for forward passes: to build one of
    torchvision's networks does import it.) On the CPU there is one thread, since several wait for each other longer
    than a small layer takes; and no oneDNN, which compiles a kernel for each shape and keeps it: 1 MB for each model.
    """
    with ExitStack() as stack:
        if device == "meta":
            stack.enter_context(without_compiler())
            stack.enter_context(ShapesOfNorms())  # type: ignore[no-untyped-call]
        else:
            stack.enter_context(_plain_kernels())
        yield


@contextmanager
def _plain_kernels() -> Iterator[None]:
    has_onednn = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        with cpu_threads(1):
            yield
    finally:
        torch.backends.mkldnn.enabled = has_onednn


@lru_cache(maxsize=4)
def _count_by_shapes(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    return _count(model, classes, shape, "meta")


def built(model: ModelConfig, classes: int, shape: tuple[int, int, int], device: str) -> nn.Module:
    """A model on a device; one that has shapes only is built once for all that is counted of it."""
    if device == "meta":
        return _built_by_shapes(model, classes, shape)
    with torch.device(device):
        return build(model, classes=classes, shape=shape)


@lru_cache(maxsize=1)
def _built_by_shapes(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    with torch.device("meta"):
        return build(model, classes=classes, shape=shape)


def _count(model: ModelConfig, classes: int, shape: tuple[int, int, int], device: str) -> int:
    rule = f"model {model.name!r} must have at most {_MOST_PARAMETERS:,} parameters, but has "
    sizes = {**model.model_dump(include=_SIZES), "classes": classes, "images": "x".join(map(str, shape))}
    asked = f"with {', '.join(f'{key}={value}' for key, value in sizes.items() if value is not None)}"
    try:
        count = sum(parameter.numel() for parameter in built(model, classes, shape, device).parameters())
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise ModelError(f"{rule}more than can be counted {asked}") from None
    if count > _MOST_PARAMETERS:
        raise ModelError(f"{rule}{count:,} {asked}")
    return count


def multiply_accumulates(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one image's forward pass: convolutions and linear layers, as papers count "FLOPs".

    Norms, activations, pooling, additions and biases are not counted.

    Raises:
        ValueError: as `build`, or the images are too small.
    """
    device = counting_device(model, classes, shape)
    return sum(_counted(model, classes, shape, {}, device).values()) // 2


def thop_operations(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Cost of one image's forward pass in thop's convention.

    Raises:
        ValueError: as `build`, or the images are too small.
    """
    device = "cpu" if isinstance(model.norm, OwnNormConfig) else "meta"
    counts = _counted(model, classes, shape, THOP_FORMULAS, device)
    return sum(count if op in THOP_FORMULAS else count // 2 for op, count in counts.items())


def counting_device(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> str:
    """The meta device, which computes shapes only; the CPU for small models.

    Also for a norm from a user's file, which may need values.
    """
    if isinstance(model.norm, OwnNormConfig):
        return "cpu"
    # No weight is used more often than there are pixels.
    operations = _count_by_shapes(model, classes, shape) * shape[1] * shape[2]
    return "cpu" if operations <= _FEW else "meta"


def _counted(
    model: ModelConfig, classes: int, shape: tuple[int, int, int], formulas: Formulas, device: str
) -> dict[Any, int]:
    """Operations of one image's forward pass by torch operator; a multiply-accumulate counts as two."""
    network = built(model, classes, shape, device).eval()
    with torch.device(device), torch.no_grad():
        image = torch.zeros(1, *shape)
        counter = Operations(formulas)
        with quick_forward(device), counter:
            try:
                network(image)
            except Exception as error:
                if isinstance(model.norm, OwnNormConfig):
                    raise ModelError(
                        f"model {model.name!r} with norm {model.norm.name!r} cannot process an image: "
                        f"{where(error, model.norm.source_file)}; {called('layers')} check FILE.py:CLASS tells "
                        "what is wrong with a norm"
                    ) from error
                if not isinstance(error, RuntimeError):
                    raise
                if device == "cpu":  # So that the message is the same for all sizes.
                    return _counted(model, classes, shape, formulas, "meta")
                text = f"model {model.name!r} cannot take images of {'x'.join(map(str, shape))}: {error}"
                raise ModelError(text) from error
    return counter.counts


def activation_bytes(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Bytes of activations that one more image of a batch adds to a training step, in float32.

    This is the difference between three images and two, so that what a batch needs only once (running statistics, their
    copies) does not count. Parameters, their gradients and the optimizer's state are not included, nor, with
    `checkpointing`, what one block needs while it is recomputed.

    Raises:
        ValueError: as `build`.
    """
    device = counting_device(model, classes, shape)
    network = built(model, classes, shape, device).train()
    with torch.device(device), quick_forward(device):
        two, three = (saved_bytes(network, torch.zeros(images, *shape)) for images in (2, 3))
    return three - two


def saved_bytes(model: nn.Module, images: Tensor) -> int:
    """Bytes that autograd keeps between the forward and the backward pass of a batch, parameters not counted.

    A storage that several operations keep counts once. Only the forward pass is run.

    Args:
        model: any model, in the mode in question (training or evaluation); on the meta device nothing is computed.
        images: N x C x H x W, on the model's device.
    """
    return sum(kept_storages(model, images))


def kept_storages(model: nn.Module, images: Tensor) -> list[int]:
    """Bytes of each storage that autograd keeps; arguments as for `saved_bytes`."""
    own = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> None:
        # Nothing is kept for a backward pass. The tensor itself may be the result of the operation that saves it: with
        # hooks the two would then keep each other, and all of the model, alive for good.
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # Kept alive, so that its address is not reused.

    with saved_tensors_hooks(pack, lambda nothing: nothing):
        output = model(images)
        logits = output if isinstance(output, Tensor) else output[0]
        F.cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64, device=images.device))
    return [storage.nbytes() for storage in kept.values()]
