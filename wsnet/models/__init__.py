"""Architectures. Each takes numbers and a `Layers`, never the configuration, which `build` reads for them."""

from wsnet.models.activation_memory import activation_bytes, saved_bytes
from wsnet.models.auxiliary import loss_and_logits
from wsnet.models.build import MODELS, ModelError, build
from wsnet.models.complexity import CONVENTION, THOP, multiply_accumulates, parameter_count, thop_operations
from wsnet.models.pretrained import PretrainedError, load_pretrained, pretrained_hash

__all__ = [
    "CONVENTION",
    "MODELS",
    "THOP",
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
    "thop_operations",
]
