"""A model or a norm from Python values instead of a file, checked by the same rules and with the same messages."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from wsnet.config.architectures import ModelConfig
from wsnet.config.base import Config
from wsnet.config.errors import ConfigError, Mistake, dotted
from wsnet.config.norm import NormConfig
from wsnet.config.reading.messages import Violation, validated
from wsnet.config.reading.own_files import with_source

__all__ = ["NormOptions", "model_options", "norm_options"]

NormOptions = str | Mapping[str, Any]
"""A norm's name, such as "group" or "mynorm.py:MyNorm", or a mapping with its options: {"name": "group", "groups": 8}.
A relative path is relative to the working directory."""

_Section = TypeVar("_Section", bound=BaseModel)


class _OfModel(Config):
    model: ModelConfig


class _OfNorm(Config):
    norm: NormConfig


def model_options(name: str, options: Mapping[str, Any], *, place: str) -> ModelConfig:
    """The `model` section that these options make.

    Args:
        name: the architecture.
        options: of the architecture; `norm` may be a name.
        place: what to call the place of a mistake.

    Raises:
        ConfigError: with every mistake at once.
    """
    data = {**options, "name": name}
    if "norm" in data:
        data["norm"] = _norm(data["norm"], place)
    return _checked(_OfModel, {"model": data}, place).model


def norm_options(norm: NormOptions, *, place: str) -> NormConfig:
    """The `model.norm` section that these options make; see `model_options`.

    Raises:
        ConfigError: with every mistake at once.
    """
    return _checked(_OfNorm, {"norm": _norm(norm, place)}, place).norm


def _norm(norm: object, place: str) -> dict[str, Any]:
    if isinstance(norm, str):
        norm = {"name": norm}
    if not isinstance(norm, Mapping):
        rule = 'must be a norm\'s name, such as "group", or a mapping, such as {"name": "group", "groups": 8}'
        raise ConfigError([Mistake(place, "norm", f"{rule}, but got {norm!r}")])
    return with_source(dict(norm))


def _checked(section: type[_Section], data: dict[str, Any], place: str) -> _Section:
    found, violations = validated(section, data)
    if found is None:
        raise ConfigError(_mistake(violation, place) for violation in violations)
    return found


def _mistake(violation: Violation, place: str) -> Mistake:
    """The mistake under the name that the caller gave the value."""
    path = violation.paths[0]
    key = dotted(path[1:] or ("name",)) if path[:1] == ("model",) else dotted(path)
    return Mistake(place, key, violation.message.replace("model.", ""))
