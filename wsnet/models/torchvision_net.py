"""Any classification network of torchvision, as torchvision builds it, with the losses of its auxiliary classifiers."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsnet.config.seeding import derive_seed
from wsnet.layers import Dropout, Layers, RandomLayer

__all__ = ["StochasticDepth", "classification_networks", "loss_and_logits", "torchvision_net", "with_auxiliary"]

_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": True, "init_weights": True},
    "inception_v3": {"aux_logits": True, "init_weights": True},
}
"""Options without which a network is not what its paper describes."""

_LEAST_SIZES = {"inception_v3": (299, 299)}
"""Smallest (height, width), if training needs larger images than evaluation does (torchvision's `min_size`)."""

_AUXILIARY_WEIGHTS = {"GoogLeNetOutputs": 0.3, "InceptionOutputs": 0.4}
"""Weight of each auxiliary loss, by the type of the network's output: the main logits, then the auxiliary ones."""


def classification_networks() -> list[str]:
    """Names of torchvision's classification networks."""
    import torchvision  # Takes a second, so it is imported only where it is needed.

    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def torchvision_net(layers: Layers, *, architecture: str, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    """A network of torchvision. In training, googlenet and inception_v3 return auxiliary logits too.

    Args:
        layers: not used; the network has its own.
        architecture: its name in torchvision.models.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: there is no such network, or it cannot take images of this shape.
    """
    names = classification_networks()
    if architecture not in names:
        near = get_close_matches(architecture, names, n=1) or ["resnet18"]
        raise ValueError(
            f"architecture must be one of torchvision's {len(names)} classification networks, "
            f"but got {architecture!r}; did you mean {near[0]!r}?"
        )
    _check_shape(architecture, shape)
    model = _made(architecture, classes, shape)
    # Not `partial(initialize, model)`: a copy of the model would initialize the original.
    model.drawn_anew = partial(_drawn_anew, architecture, classes, shape)  # type: ignore[assignment]
    return model


def _check_shape(architecture: str, shape: tuple[int, int, int]) -> None:
    import torchvision

    channels, height, width = shape
    if channels != 3:
        raise ValueError(
            f"torchvision's networks take images with 3 channels, but got {channels}; use an architecture of wsnet"
        )
    weights = list(torchvision.models.get_model_weights(architecture))
    least = _LEAST_SIZES.get(architecture) or (weights[0].meta["min_size"] if weights else (1, 1))
    if height < least[0] or width < least[1]:
        raise ValueError(
            f"torchvision's {architecture} needs images of at least {least[0]}x{least[1]} pixels, "
            f"but got {height}x{width}; use larger images or another architecture"
        )


def _made(architecture: str, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    import torchvision

    options = dict(_OPTIONS.get(architecture, {}))
    if architecture.startswith("vit_"):
        options["image_size"] = shape[1]
    model: nn.Module = torchvision.models.get_model(architecture, weights=None, num_classes=classes, **options)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, Dropout(child.p))
            elif isinstance(child, torchvision.ops.StochasticDepth):
                setattr(module, name, StochasticDepth(child.p, child.mode))
    return model


def _drawn_anew(architecture: str, classes: int, shape: tuple[int, int, int], seed: int) -> dict[str, Any]:
    """The state of a new network, from a seed alone."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(derive_seed(seed, "init", architecture))
        state: dict[str, Any] = _made(architecture, classes, shape).state_dict()
    return state


class StochasticDepth(RandomLayer):
    """Leaves out a residual branch with probability p, for each image or for the batch (Huang et al. 2016)."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x: Tensor) -> Tensor:
        """Images of any shape, N x ..., to the same shape; what is kept is divided by 1 - p."""
        if not self.training or not self.p:
            return x
        drawn = self.uniform_per_image(x, 1) if self.mode == "row" else self.uniform_per_batch(x, 1)
        return x * ((drawn[0] >= self.p) / (1 - self.p)).to(x.dtype)

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"p={self.p}, mode={self.mode}"


def with_auxiliary(output: Any, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The loss including all auxiliary ones, and the main logits.

    Args:
        output: a network's output: logits N x classes, or torchvision's named tuple of several.
        loss: computes the loss of one set of logits.
    """
    if isinstance(output, Tensor):
        return loss(output), output
    logits, *others = output
    total = loss(logits)
    for other in others:
        total = total + _AUXILIARY_WEIGHTS[type(output).__name__] * loss(other)
    return total, logits


def loss_and_logits(output: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross entropy including all auxiliary ones, and the main logits.

    Args:
        output: a network's output: logits N x classes, or torchvision's named tuple of several.
        labels: N.
    """
    return with_auxiliary(output, lambda logits: F.cross_entropy(logits, labels))
