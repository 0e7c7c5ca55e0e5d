"""Architectures. Each takes numbers and a `Layers`, never the configuration, which `build` reads for them."""

from wsnet.models.build import MODELS, ModelError, build
from wsnet.models.counting import multiply_accumulates, parameter_count

__all__ = ["MODELS", "ModelError", "build", "multiply_accumulates", "parameter_count"]
