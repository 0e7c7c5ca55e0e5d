"""The shallowest network of a family, for a smoke run."""

from wsnet.config.architectures import (
    CifarDenseNetConfig,
    CifarResNeXtConfig,
    ModelConfig,
    PyramidNetConfig,
    ShakeShakeConfig,
    ThreeStageConfig,
    WRNConfig,
)
from wsnet.config.depths import DENSE_DEPTH, RESIDUAL_DEPTH, WIDE_DEPTH, DepthRule

__all__ = ["shallow"]


def shallow(model: ModelConfig) -> ModelConfig:
    """A network for small images with one block in each stage: the same layers, some of them fewer times.

    Other networks stay as they are, and so do those that start from pretrained weights.
    """
    rule = _depth_rule(model)
    if rule is None or model.pretrained:
        return model
    return model.model_copy(update={"depth": rule.step + rule.others})


def _depth_rule(model: ModelConfig) -> DepthRule | None:
    if isinstance(model, WRNConfig):
        return WIDE_DEPTH
    if isinstance(model, CifarResNeXtConfig):
        return RESIDUAL_DEPTH["bottleneck"]
    if isinstance(model, ShakeShakeConfig):
        return RESIDUAL_DEPTH["basic"]
    if isinstance(model, ThreeStageConfig):
        return RESIDUAL_DEPTH[model.block]
    if hasattr(model.norm, "groups"):  # In the others, the depth decides on the channels, which groups must divide.
        return None
    if isinstance(model, PyramidNetConfig):
        return RESIDUAL_DEPTH[model.block]
    return DENSE_DEPTH[model.bottleneck] if isinstance(model, CifarDenseNetConfig) else None
