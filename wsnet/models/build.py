"""From a model's configuration to the model."""

from collections.abc import Callable

from torch import nn

from wsnet.config.architectures import ModelConfig, NetworkConfig
from wsnet.config.norm import OwnNormConfig
from wsnet.errors import Error
from wsnet.layers import Layers
from wsnet.models.alexnet import alexnet
from wsnet.models.checkpointing import recompute_blocks
from wsnet.models.cifar_resnet import cifar_resnet
from wsnet.models.densenet import cifar_densenet, densenet
from wsnet.models.preact_resnet import preact_resnet
from wsnet.models.pyramidnet import PyramidNet
from wsnet.models.resnet import resnet
from wsnet.models.resnext import cifar_resnext, resnext
from wsnet.models.shake_shake import ShakeShakeNet
from wsnet.models.torchvision_net import torchvision_net
from wsnet.models.vgg import vgg
from wsnet.models.wrn import wrn

__all__ = ["MODELS", "ModelError", "build", "not_stackable"]


class ModelError(Error):
    """A model that cannot be built as configured; the message names the option, its value and the rule."""


MODELS: dict[str, Callable[..., nn.Module]] = {
    "alexnet": alexnet,
    "vgg": vgg,
    "cifar_resnet": cifar_resnet,
    "resnet": resnet,
    "preact_resnet": preact_resnet,
    "wrn": wrn,
    "cifar_resnext": cifar_resnext,
    "resnext": resnext,
    "cifar_densenet": cifar_densenet,
    "densenet": densenet,
    "pyramidnet": PyramidNet,
    "shake_shake": ShakeShakeNet,
    "torchvision": torchvision_net,
}
"""Architectures by name. Their keyword arguments are the options in the configuration; each signature is complete, so
those of related networks repeat each other.

Listed by hand rather than collected from the files, so that a reader, mypy and a text search find every network here.
"""


def build(model: ModelConfig, *, classes: int, shape: tuple[int, int, int], replicates: int = 1) -> nn.Module:
    """Build a model; `wsnet.layers.initialize` then gives it the weights of a seed.

    Args:
        model: which architecture, with which norm and weights.
        classes: number of classes.
        shape: (channels, height, width) of one image.
        replicates: networks side by side (see `wsnet.layers.stacking`). With several, the weights come from `stack`.

    Returns:
        A module from N x channels x height x width to N x classes logits, or with R replicates from
        N x (R channels) x height x width to N x (R classes).

    Raises:
        ModelError: the norm or the weight reparametrization does not allow the sizes in this architecture, it has
            no blocks that checkpointing could recompute, or its replicates cannot be stacked.
    """
    if replicates > 1 and (reason := not_stackable(model)):
        raise ModelError(f"{replicates} replicates of model {model.name!r} cannot be stacked: {reason}")
    layers = Layers(
        model.norm,
        model.weight,
        weight_init=model.weight_init,
        residual_init=model.residual_init,
        init=model.init,
        classifier_init=model.classifier_init,
        replicates=replicates,
    )
    options = model.model_dump(exclude={"name", *NetworkConfig.model_fields})
    try:
        network = MODELS[model.name](layers, classes=classes, shape=shape, **options)
        if model.checkpointing:
            recompute_blocks(network)
        return network
    except ValueError as error:
        raise ModelError(f"model {model.name!r} with norm {model.norm.name!r} cannot be built: {error}") from error


def not_stackable(model: ModelConfig) -> str | None:
    """Why several networks of this kind cannot be computed side by side as one; None if they can."""
    if model.name == "torchvision":
        return "torchvision's networks are built from layers of their own"
    if isinstance(model.norm, OwnNormConfig):
        return f"norm {model.norm.class_name!r} is your own, and may mix the channels of several networks"
    return None
