"""`model`: the architecture, its normalization and its weight reparametrization."""

from typing import Annotated

from pydantic import Field

from wsnet.config.resnets import CifarResNetConfig, ResNetConfig, ResNeXtConfig

__all__ = ["ModelConfig"]

ModelConfig = Annotated[CifarResNetConfig | ResNetConfig | ResNeXtConfig, Field(discriminator="name")]
