"""Short ways to write configurations and to build what they say."""

from typing import Any

from pydantic import TypeAdapter
from torch import nn

from wsnet.config.architectures import ModelConfig
from wsnet.layers import initialize
from wsnet.models import build

NORMS: dict[str, dict[str, Any]] = {
    "batch": {"name": "batch"},
    "group": {"name": "group", "groups": 8},
    "layer": {"name": "layer"},
    "layer-channel": {"name": "layer", "affine": "channel"},
    "instance": {"name": "instance"},
    "instance-bare": {"name": "instance", "affine": False},
    "sync_batch": {"name": "sync_batch"},
    "ghost_batch": {"name": "ghost_batch", "ghost_size": 1},
    "batch_renorm": {"name": "batch_renorm", "warmup_steps": 0, "r_max_steps": 1, "d_max_steps": 1},
    "filter_response": {"name": "filter_response"},
    "filter_response-eps": {"name": "filter_response", "learned_eps": True},
    "evonorm_s0": {"name": "evonorm_s0", "groups": 8},
    "online": {"name": "online"},
    "none": {"name": "none"},
}

_ADAPTER: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)


def config(name: str, norm: str = "batch", **options: Any) -> ModelConfig:
    """A model's configuration, with a norm of `NORMS`."""
    return _ADAPTER.validate_python({"name": name, "norm": NORMS[norm], **options})


def network(model: ModelConfig, *, classes: int, shape: tuple[int, int, int], seed: int = 0) -> nn.Module:
    """A built and initialized model."""
    module = build(model, classes=classes, shape=shape)
    initialize(module, seed)
    return module
