"""Architectures. Each takes numbers and a `Layers`, never the configuration, which `build` reads for them."""

from wsnet.models.build import MODELS, ModelError, build
from wsnet.models.cifar_resnet import CifarResNet
from wsnet.models.counting import multiply_accumulates, parameter_count
from wsnet.models.resnet import ResNet, resnet
from wsnet.models.resnext import resnext

__all__ = [
    "MODELS",
    "CifarResNet",
    "ModelError",
    "ResNet",
    "build",
    "multiply_accumulates",
    "parameter_count",
    "resnet",
    "resnext",
]
