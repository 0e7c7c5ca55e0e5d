"""Every dotted key that a trial or a sweep can have, and the JSON schema of both files."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from wsnet.called import called
from wsnet.config.errors import did_you_mean, nearest
from wsnet.config.own_class import is_own
from wsnet.config.published import CASE
from wsnet.config.reading.messages import variants
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = [
    "NOT_AN_AXIS",
    "OWN_OPTION",
    "TrialKeys",
    "covers",
    "dotted_keys",
    "sweep_keys",
    "sweep_schema",
    "takes",
    "trial_schema",
]

NOT_AN_AXIS = {"seed": "seeds are counted by the sweep's own 'seeds'"}
"""Keys of a trial that a sweep file cannot set, and why."""
OWN_OPTION = re.compile(r"model\.norm\.[A-Za-z_]\w*")
"""Dotted keys that may be options of a user's own norm."""


@cache
def dotted_keys() -> dict[str, str]:
    """Dotted key of a trial to its documentation, over all variants; sections are keys too."""
    return _keys_of(TrialConfig, "")


@cache
def sweep_keys() -> dict[str, str]:
    """Dotted key to its documentation, for the keys of a sweep file outside its trials."""
    return _keys_of(SweepConfig, "")


@cache
def takes(key: str, kind: type) -> bool:
    """Whether a trial's dotted key takes whole numbers (`int`), numbers with fractions (`float`) or lists (`tuple`).

    It is enough that one variant of its section takes them.
    """
    classes: list[type[BaseModel]] = [TrialConfig]
    *sections, last = key.split(".")
    for section in sections:
        fields = [each.model_fields[section] for each in classes if section in each.model_fields]
        classes = [inner for field in fields for inner in variants(field.annotation)]
    return any(_has(each.model_fields[last].annotation, kind) for each in classes if last in each.model_fields)


def _has(annotation: Any, kind: type) -> bool:
    if get_origin(annotation) is Annotated:
        return _has(get_args(annotation)[0], kind)
    if get_origin(annotation) in (Union, UnionType):
        return any(_has(member, kind) for member in get_args(annotation))
    return annotation is kind or get_origin(annotation) is kind


@dataclass(frozen=True)
class TrialKeys:
    """The dotted keys that a file may set in a trial.

    Attributes:
        of_own_norm: whether a user's own norm is in use: only its constructor knows its options, so any name may be
            one.
    """

    of_own_norm: bool = False

    @classmethod
    def of(cls, data: object, pairs: Iterable[str]) -> "TrialKeys":
        """The keys for a file's data and the `key=value` pairs of `--set`."""
        return cls(_names_own_norm(data, ()) or any(".py:" in pair for pair in pairs))

    def __contains__(self, key: str) -> bool:
        return key in dotted_keys() or (self.of_own_norm and OWN_OPTION.fullmatch(key) is not None)

    def unknown(self, key: str) -> str:
        """Message for a key that is not among them."""
        return f"unknown key{self.hint(key)}"

    def ending_in(self, name: str) -> list[str]:
        """The known keys with this last part: `optim.lr` for `lr`."""
        return [known for known in dotted_keys() if known.split(".")[-1] == name]

    def hint(self, key: str) -> str:
        """What to do about a key that is not among them."""
        same = self.ending_in(key)
        if same and nearest(key, dotted_keys()) is None:  # `lr` is not similar to `optim.lr`.
            return f"; did you mean {' or '.join(map(repr, same))}?"
        return did_you_mean(key, dotted_keys(), otherwise=f"; {called('config')} keys lists all")


def covers(key: str, other: str) -> bool:
    """Whether setting `key` sets `other` too: it is the same, or a section around it."""
    return other == key or other.startswith(f"{key}.")


def _names_own_norm(data: object, at: tuple[str, ...]) -> bool:
    if isinstance(data, Mapping):  # A key may be dotted.
        return any(_names_own_norm(value, (*at, *str(key).split("."))) for key, value in data.items())
    if isinstance(data, list):
        return any(_names_own_norm(value, at) for value in data)
    return at[-2:] == ("norm", "name") and is_own(data)


def _keys_of(model: type[BaseModel], prefix: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for name, info in model.model_fields.items():
        key = f"{prefix}{name}"
        keys.setdefault(key, info.description or "")
        for inner in variants(info.annotation):
            keys |= {k: text for k, text in _keys_of(inner, f"{key}.").items() if k not in keys}
    return keys


_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def trial_schema() -> dict[str, Any]:
    """Schema of a trial file."""
    return {**_DIALECT, **TrialConfig.model_json_schema()}


def sweep_schema() -> dict[str, Any]:
    """Schema of a sweep file. `base` is a trial's configuration, any part of which cases and grid may supply."""
    sweep, trial = SweepConfig.model_json_schema(), TrialConfig.model_json_schema()
    of_trial = {name: _loosened(definition) for name, definition in trial.pop("$defs").items()}
    base = _loosened(trial)
    keys = [key for key in dotted_keys() if key not in NOT_AN_AXIS]
    for key in NOT_AN_AXIS:
        del base["properties"][key]
    properties = sweep["properties"]
    known = {"anyOf": [{"enum": keys}, {"pattern": f"^{OWN_OPTION.pattern}$"}]}
    grid = {"propertyNames": known, "additionalProperties": {"type": ["array", "object"], "minItems": 1}}
    properties["base"] = {**base, "title": "Base", "description": properties["base"]["description"]}
    properties["grid"] |= grid
    properties["cases"]["items"] = {
        "type": "object",
        "properties": {CASE: {"type": "string", "pattern": r"\S"}, "grid": {"type": "object", **grid}},
        "propertyNames": {"anyOf": [*known["anyOf"], {"enum": [CASE, "grid"]}]},
    }
    return {**_DIALECT, **sweep, "$defs": {**of_trial, **sweep["$defs"]}}


def _loosened(schema: Any) -> Any:
    """A section that an override may complete: required keys, even `name`, are checked only when the file is read."""
    if isinstance(schema, list):
        return [_loosened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {key: _loosened(part) for key, part in schema.items() if key not in ("required", "discriminator", "oneOf")}
    if "oneOf" in schema:
        loose["anyOf"] = _loosened(schema["oneOf"])
    return loose
