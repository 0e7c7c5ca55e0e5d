"""`wsnet.model`: a network from Python values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from wsnet.config.errors import ConfigError, Mistake
from wsnet.config.reading.options import NormOptions, model_options
from wsnet.config.reading.reference import entries_of
from wsnet.layers import RandomLayer, initialize
from wsnet.models.build import build
from wsnet.models.pretrained import load_pretrained

__all__ = ["model"]

_PLACE = "wsnet.model"


def model(
    name: str,
    *,
    classes: int = 10,
    shape: tuple[int, int, int] = (3, 32, 32),
    norm: NormOptions | None = None,
    seed: int | None = None,
    **options: Any,
) -> nn.Module:
    """A network as a trial of a sweep with these options would begin with.

        wsnet.model("cifar_resnet", depth=20, norm="group", weight="standardized")
        wsnet.model("resnet", depth=50, norm={"name": "group", "groups": 16}, classes=1000, shape=(3, 224, 224))
        wsnet.model("torchvision", architecture="mobilenet_v2", shape=(3, 224, 224))

    Args:
        name: the architecture, `model.name` in a sweep file.
        classes: number of classes.
        shape: (channels, height, width) of one image.
        norm: a norm's name, `file.py:Class` for one of your own, or a mapping with its options too; by default the
            architecture's own.
        seed: the initial weights are those of a trial with this seed; by default it is drawn from torch's generator.
        **options: the other keys of `model` in a sweep file, such as `depth` and `weight`.

    Returns:
        A module on the CPU, from N x channels x height x width to N x classes logits.

    Raises:
        ConfigError: an option is wrong; a line for each mistake (a ValueError).
        ModelError: the network cannot be built for these sizes, or its pretrained weights are missing (a ValueError).
    """
    if norm is not None:
        options["norm"] = norm
    _check_sizes(classes, shape)
    try:
        config = model_options(name, options, place=_PLACE)
    except ConfigError as error:
        raise _with_ways_out(error, name, options) from None
    network = build(config, classes=classes, shape=shape)
    initialize(network, int(torch.randint(2**31, ())) if seed is None else seed)
    load_pretrained(network, config, classes=classes)
    for module in network.modules():
        if isinstance(module, RandomLayer):  # A loop of one's own sets no steps: draw anew in every forward.
            module.has_step = False
    return network


def _check_sizes(classes: int, shape: tuple[int, int, int]) -> None:
    mistakes = []
    if not _is_positive(classes):
        mistakes.append(Mistake(_PLACE, "classes", f"must be a whole number of at least 1, but got {classes!r}"))
    if not (isinstance(shape, tuple | list) and len(shape) == 3 and all(map(_is_positive, shape))):
        rule = "must be (channels, height, width) of one image, such as (3, 32, 32)"
        mistakes.append(Mistake(_PLACE, "shape", f"{rule}, but got {shape!r}"))
    if mistakes:
        raise ConfigError(mistakes)


def _is_positive(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _with_ways_out(error: ConfigError, name: str, options: Mapping[str, Any]) -> ConfigError:
    """The mistakes, with what to call instead: for options of the norm, and for a network of torchvision."""
    from wsnet.models.torchvision_net import classification_networks

    ways = {}
    if name == "torchvision":
        ways = dict.fromkeys(("norm", "norm.name", "weight"), "; wsnet.replace_norms(model, ...) changes them")
    elif any(mistake.key == "name" for mistake in error.mistakes) and name in classification_networks():
        ways["name"] = f' torchvision\'s network is wsnet.model("torchvision", architecture="{name}")'
    of_norm = _options_of_norm(error, options)
    return ConfigError(of_norm.get(m.key, replace(m, message=m.message + ways.get(m.key, ""))) for m in error.mistakes)


def _options_of_norm(error: ConfigError, options: Mapping[str, Any]) -> dict[str, Mistake]:
    """By option that the architecture lacks and its norm has, the mistake that says where to write it."""
    norm = options.get("norm")
    norm = dict(norm) if isinstance(norm, Mapping) else {"name": norm}
    known = {entry.key.split(".")[-1] for entry in entries_of("model.norm") if norm.get("name") in entry.taken_by}
    found = {mistake.key: options[mistake.key] for mistake in error.mistakes if mistake.key in known & {*options}}
    text = f"is an option of the norm; write norm={ {**norm, **found} }"
    return {key: Mistake(_PLACE, key, text) for key in found}
