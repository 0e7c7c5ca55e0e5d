"""Architectures. Each takes numbers and a `Layers`, never the configuration, which `build` reads for them."""

from wsnet.models.activation_memory import activation_bytes, saved_bytes
from wsnet.models.auxiliary import loss_and_logits
from wsnet.models.build import MODELS, ModelError, build
from wsnet.models.counting import multiply_accumulates, parameter_count

__all__ = [
    "MODELS",
    "ModelError",
    "activation_bytes",
    "build",
    "loss_and_logits",
    "multiply_accumulates",
    "parameter_count",
    "saved_bytes",
]
