"""`model`: the architecture, its normalization and its weight reparametrization."""

from typing import Annotated

from pydantic import Field

from wsnet.config.densenet import CifarDenseNetConfig, DenseNetConfig
from wsnet.config.plain_networks import AlexNetConfig, VGGConfig
from wsnet.config.preact_resnets import PreActResNetConfig, WRNConfig
from wsnet.config.pyramidnet import PyramidNetConfig
from wsnet.config.resnets import CifarResNetConfig, CifarResNeXtConfig, ResNetConfig, ResNeXtConfig
from wsnet.config.shake_shake import ShakeShakeConfig
from wsnet.config.torchvision import TorchvisionConfig

__all__ = ["ModelConfig"]

ModelConfig = Annotated[
    AlexNetConfig
    | VGGConfig
    | CifarResNetConfig
    | ResNetConfig
    | PreActResNetConfig
    | WRNConfig
    | CifarResNeXtConfig
    | ResNeXtConfig
    | CifarDenseNetConfig
    | DenseNetConfig
    | PyramidNetConfig
    | ShakeShakeConfig
    | TorchvisionConfig,
    Field(discriminator="name"),
]
