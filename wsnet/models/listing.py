"""Which models `python -m wsnet.models` lists: those asked for, or a few of every family."""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from wsnet.called import called
from wsnet.config import ConfigError, Mistake, TrialConfig, read_sweep, read_trial
from wsnet.config.architectures import ModelConfig, NetworkConfig
from wsnet.config.errors import nearest
from wsnet.config.example_sweeps import example_sweeps, sweep_file
from wsnet.config.reading.located import Located
from wsnet.config.reading.messages import variant_name, variants
from wsnet.config.reading.read import trial_of
from wsnet.config.reading.yaml_lines import YamlFile
from wsnet.models.torchvision_net import classification_networks

__all__ = ["Listed", "asked_for", "in_file", "representative"]

Shape = tuple[int, int, int]
_REST: dict[str, Any] = {
    "data": {"name": "cifar10"},
    "optim": {"name": "sgd", "lr": 0.1},
    "train": {"epochs": 1, "batch_size": 1},
}
"""The rest of a trial's configuration, used when only a model is given."""

_SMALL: list[dict[str, Any]] = [
    {"name": "alexnet", "layout": "cifar"},
    {"name": "vgg", "depth": 16, "layout": "cifar", "norm": {"name": "batch"}},
    {"name": "cifar_resnet", "depth": 20},
    {"name": "cifar_resnet", "depth": 110},
    {"name": "resnet", "depth": 18, "stem": "cifar"},
    {"name": "preact_resnet", "depth": 110},
    {"name": "wrn", "depth": 28, "widening": 10},
    {"name": "cifar_resnext", "depth": 29, "cardinality": 8, "group_width": 64},
    {"name": "cifar_densenet", "depth": 100, "growth_rate": 12},
    {"name": "cifar_densenet", "depth": 190, "growth_rate": 40},
    {"name": "pyramidnet", "depth": 110, "alpha": 84.0},
    {"name": "pyramidnet", "depth": 272, "alpha": 200.0, "block": "bottleneck"},
    {"name": "shake_shake", "depth": 26, "width": 96},
]
_LARGE: list[dict[str, Any]] = [
    {"name": "alexnet"},
    {"name": "vgg", "depth": 16},
    {"name": "resnet", "depth": 18},
    {"name": "resnet", "depth": 50},
    {"name": "resnet", "depth": 101},
    {"name": "resnext", "depth": 50},
    {"name": "resnext", "depth": 101, "group_width": 8},
    {"name": "densenet", "depth": 121},
    {"name": "densenet", "depth": 161},
    {"name": "torchvision", "architecture": "squeezenet1_0"},
    {"name": "torchvision", "architecture": "mobilenet_v2"},
]
_LARGE_FROM = 64
"""Smallest height of images for which networks made for ImageNet are listed."""


@dataclass(frozen=True)
class Listed:
    """A model to be listed.

    Attributes:
        model: its configuration.
        shape: (channels, height, width) of one image.
        classes: number of classes.
    """

    model: ModelConfig
    shape: Shape
    classes: int

    @property
    def label(self) -> str:
        """The name, and every option that is not at its default; the architecture's own options come first."""
        options = self.model.model_dump(mode="json", exclude_defaults=True)
        options = dict(sorted(options.items(), key=lambda item: item[0] in NetworkConfig.model_fields))
        return " ".join([str(options.pop("name")), *(f"{key}={value}" for key, value in _flat(options, "").items())])


def representative(shape: Shape, classes: int) -> list[Listed]:
    """A few of every family, for images of this shape."""
    adapter: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
    rows = _LARGE if shape[1] >= _LARGE_FROM else _SMALL
    return [Listed(adapter.validate_python(options), shape, classes) for options in rows]


def asked_for(pairs: list[str]) -> Listed:
    """The model of `key=value` pairs, such as model.name=wrn model.depth=28; data.name says which images.

    Raises:
        ConfigError: with every mistake at once.
    """
    rest = YamlFile("command line", Located.of(_REST, "command line:1"))
    return _listed(trial_of(rest, pairs))


def in_file(path: str, pairs: list[str]) -> list[Listed]:
    """The models of a sweep file or a trial file, each once.

    Args:
        path: the file.
        pairs: `key=value` pairs that override it.

    Raises:
        ConfigError: with every mistake of the file at once.
    """
    path = _found(path)
    if "base" in YamlFile.read(path).data:
        configs = [setting.config for setting in read_sweep(path, pairs).settings]
    else:
        configs = [read_trial(path, pairs)]
    return list(dict.fromkeys(_listed(config) for config in configs))


def _found(word: str) -> str:
    """The path of a sweep file.

    Raises:
        ConfigError: there is none; for the name of a network, with the options that say which one.
    """
    try:
        return sweep_file(word)
    except ConfigError:
        if (options := _options_of_name(word.lower())) is None:
            raise
        call = " ".join([called("models"), *(f"model.{key}={value}" for key, value in _flat(options, "").items())])
        text = f"no such file, and no example of this name; a network is given by its options: {call}"
        raise ConfigError([Mistake(word, "", text)]) from None


def _options_of_name(word: str) -> dict[str, Any] | None:
    """The options of the network that a name such as resnet20, WRN-28-10 or mobilenet_v2 probably stands for."""
    name, depth = re.fullmatch(r"(.*?)[-_]?(\d*)(?:[-_x]\d+)*", word, re.DOTALL).groups()  # type: ignore[union-attr]
    networks = {variant_name(network): network for network in variants(ModelConfig)}
    similar = sorted((network for network in networks if name and name in network), key=lambda each: each != name)
    for network in similar if depth else []:
        with suppress(ValueError):  # Of pydantic, or there are too many digits.
            networks[network].model_validate({"name": network, "depth": int(depth)})
            return {"name": network, "depth": int(depth)}
    if word in classification_networks():
        return {"name": "torchvision", "architecture": word}
    if not similar and nearest(word, example_sweeps()) is None:
        similar = [near for near in [nearest(name, networks)] if near is not None]
    return next((options for options in (*_SMALL, *_LARGE) if options["name"] in similar[:1]), None)


def _listed(config: TrialConfig) -> Listed:
    return Listed(config.model, config.data.facts.shape, config.data.facts.classes)


def _flat(options: dict[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
