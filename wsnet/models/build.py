"""From a model's configuration to the model."""

from collections.abc import Callable

from torch import nn

from wsnet.config.architectures import ModelConfig, NetworkConfig
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

__all__ = ["MODELS", "ModelError", "build"]


class ModelError(ValueError):
    """A model that can not be built as configured; the message names the option, its value and the rule."""


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
"""Architectures by name. The options in the configuration are their keyword arguments: signatures of related networks
repeat each other, since each says in full what it takes.

Written out, not collected from the files of this folder: a reader, mypy and a search find every network here.
"""


def build(model: ModelConfig, *, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    """Build a model; `wsnet.layers.initialize` then gives it the weights of a seed.

    Args:
        model: which architecture, with which norm and weights.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Returns:
        A module from N x channels x height x width to N x classes logits.

    Raises:
        ModelError: the norm or the weights can not have the sizes of this architecture, or nothing in it can be
            computed again.
    """
    layers = Layers(
        model.norm,
        model.weight,
        weight_init=model.weight_init,
        residual_init=model.residual_init,
        init=model.init,
        classifier_init=model.classifier_init,
    )
    options = model.model_dump(exclude={"name", *NetworkConfig.model_fields})
    try:
        network = MODELS[model.name](layers, classes=classes, shape=shape, **options)
        if model.checkpointing:
            recompute_blocks(network)
        return network
    except ValueError as error:
        raise ModelError(f"model {model.name!r} with norm {model.norm.name!r} can not be built: {error}") from error
