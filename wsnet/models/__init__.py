"""Architectures. Each takes plain values and a `Layers`; only `build` reads the configuration."""

from wsnet.models.build import MODELS, ModelError, build, not_stackable
from wsnet.models.complexity import (
    CONVENTION,
    THOP,
    activation_bytes,
    multiply_accumulates,
    parameter_count,
    saved_bytes,
    thop_operations,
)
from wsnet.models.one_pass import ModelCounts, count_model
from wsnet.models.pretrained import PretrainedError, load_pretrained, pretrained_hash
from wsnet.models.torchvision_net import loss_and_logits

__all__ = [
    "CONVENTION",
    "MODELS",
    "THOP",
    "ModelCounts",
    "ModelError",
    "PretrainedError",
    "activation_bytes",
    "build",
    "count_model",
    "load_pretrained",
    "loss_and_logits",
    "multiply_accumulates",
    "not_stackable",
    "parameter_count",
    "pretrained_hash",
    "saved_bytes",
    "thop_operations",
]
