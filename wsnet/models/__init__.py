"""Architectures. Each takes numbers and a `Layers`, never the configuration, which `build` reads for them."""

from wsnet.models.activation_memory import activation_bytes, saved_bytes
from wsnet.models.auxiliary import loss_and_logits
from wsnet.models.build import MODELS, ModelError, build
from wsnet.models.counting import multiply_accumulates, parameter_count
from wsnet.models.pretrained import PretrainedError, load_pretrained, pretrained_hash

__all__ = [
    "MODELS",
    "ModelError",
    "PretrainedError",
    "activation_bytes",
    "build",
    "load_pretrained",
    "loss_and_logits",
    "multiply_accumulates",
    "parameter_count",
    "pretrained_hash",
    "saved_bytes",
]
