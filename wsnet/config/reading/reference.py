"""Every key of a sweep file with its type, default and meaning, read from the configuration classes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from wsnet.config.errors import ConfigError, Mistake, did_you_mean
from wsnet.config.reading.keys import NOT_AN_AXIS, covers
from wsnet.config.reading.messages import variant_name, variants
from wsnet.config.reading.other_names import other_name
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = ["KeyEntry", "entries_of", "of_sweep", "of_trial"]

_INTERNAL = ("data.found", "model.norm.source_file", "model.norm.source_sha256", *NOT_AN_AXIS)
"""Sections that reading fills in, or that a sweep file cannot set."""
_LARGEST = 10_000
"""Higher bounds only keep numbers within 64 bits or the memory, so they are not mentioned."""
_UNITS = "(s|min|h|d)"
"""In the pattern of a time with its unit, and in no other."""


@dataclass(frozen=True)
class KeyEntry:
    """One key; a key that means different things to several variants of a section has an entry for each meaning.

    Attributes:
        key: dotted, such as `model.norm.groups` or `scheduler.eta`.
        kind: which values it takes, such as `whole number >= 1`.
        default: as YAML; `required`, or `unset` where there is none.
        taken_by: names of the section's variants that take it, such as `group`; empty if all of them do.
        about: its description.
        choices: of a section's `name`, the names of its variants.
    """

    key: str
    kind: str
    default: str
    taken_by: tuple[str, ...]
    about: str
    choices: tuple[str, ...] = ()

    def is_of(self, choice: str) -> bool:
        """Whether a section's variant takes the key."""
        return not self.taken_by or choice in self.taken_by

    @property
    def section(self) -> str:
        """The dotted key of the section that it is in."""
        return self.key.rpartition(".")[0]


@cache
def of_trial() -> tuple[KeyEntry, ...]:
    """The keys of a trial: what `base` holds, and what cases, grids and `--set` name."""
    return tuple(_entries([TrialConfig], ""))


@cache
def of_sweep() -> tuple[KeyEntry, ...]:
    """The keys of a sweep file outside its trials."""
    return tuple(_entries([SweepConfig], ""))


def entries_of(place: str | None) -> tuple[KeyEntry, ...]:
    """The entries of a section or a key, such as `model.norm`, `base.optim` or `scheduler`; all without one.

    The end of a key stands for every key and section that has it (`norm.groups`, or `norm` for `model.norm`), and the
    name of an architecture, a norm or the like for what it takes (`cifar_resnet`).

    Raises:
        ConfigError: there is none; the message suggests one.
    """
    every = (*of_trial(), *of_sweep())
    if not place:
        return every
    asked = place.removeprefix("base.") if place != "base" else "base"
    found = [entry for entry in every if covers(asked, entry.key)]
    if not found:
        found = [entry for entry in every if f".{asked}." in f".{entry.key}."]
    if not found:
        sections = {entry.section for entry in every if asked in entry.choices}
        found = [entry for entry in every if entry.section in sections and entry.is_of(asked)]
    if not found:
        names = [name for entry in every for name in (*entry.key.split("."), *entry.choices)]
        known = dict.fromkeys([*(entry.key for entry in every), *names])
        if other := other_name(asked):
            raise ConfigError([Mistake("keys", place, f"no key has this name; did you mean {other!r}?")])
        hint = did_you_mean(asked, known, otherwise="; without a name, all are listed")
        raise ConfigError([Mistake("keys", place, f"no key has this name{hint}")])
    return tuple(found)


def _entries(classes: list[type[BaseModel]], prefix: str) -> Iterable[KeyEntry]:
    """The entries of a section, which holds one of `classes`, and of the sections in it."""
    names = dict.fromkeys(name for each in classes for name in each.model_fields)
    for name in sorted(names, key=lambda name: name != "name"):
        key = f"{prefix}{name}"
        if key in _INTERNAL:
            continue
        having = [each for each in classes if name in each.model_fields]
        inner = list(dict.fromkeys(one for each in having for one in variants(each.model_fields[name].annotation)))
        if name == "name" and len(classes) > 1:
            choices = tuple(map(variant_name, classes))
            yield KeyEntry(key, f"one of {', '.join(choices)}", "required", (), "Which one.", choices)
            continue
        meanings: dict[tuple[str, str, str], list[type[BaseModel]]] = {}
        for each in having:
            meanings.setdefault(_meaning(each, name, inner), []).append(each)
        for (kind, default, about), taking in meanings.items():
            everyone = len(taking) == len(classes)
            yield KeyEntry(key, kind, default, () if everyone else tuple(map(variant_name, taking)), about)
        yield from _entries(inner, f"{key}.")


def _meaning(model: type[BaseModel], name: str, inner: list[type[BaseModel]]) -> tuple[str, str, str]:
    """Kind, default and description of a field."""
    info, schema = model.model_fields[name], _properties(model)[name]
    about = " ".join((info.description or "").split())
    if inner:
        if not about and len(inner) == 1:
            about = " ".join((inner[0].__doc__ or "").split())
        kind = "section" if len(inner) == 1 else "section with a `name`"
    else:
        kind = _kind(schema)
    if info.is_required():
        return kind, "required", about
    default = to_jsonable_python(info.get_default(call_default_factory=True))
    return kind, _default(default), about


@cache
def _properties(model: type[BaseModel]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = model.model_json_schema()["properties"]
    return found


def _default(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, dict):
        return f"{{name: {value['name']}}}" if "name" in value else ""
    if isinstance(value, list):
        return "[" + ", ".join(_number(each) for each in value) + "]" if value else ""
    return _number(value)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _kind(schema: Mapping[str, Any]) -> str:
    """The values of a JSON schema in words."""
    if "anyOf" in schema:
        parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
        if any(_UNITS in part.get("pattern", "") for part in parts):
            return "time such as 90s, 10min or 2h"
        return " or ".join(dict.fromkeys(map(_kind, parts)))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    described = {"boolean": "true or false", "string": "text", "object": "mapping"}
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            each = _kind(schema["prefixItems"][0])
            return f"list of {len(schema['prefixItems'])}, each {each}"
        return f"list of {_plural(_kind(schema.get('items') or {}))}"
    if kind in ("integer", "number"):
        return _bounded("whole number" if kind == "integer" else "number", schema)
    return described.get(str(kind), "any value")


def _bounded(word: str, schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    below, above = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    bounds = []
    for sign, bound in ((">=", low), (">", below), ("<=", high), ("<", above)):
        if bound is not None and bound <= _LARGEST:
            bounds.append(f"{sign} {bound:g}")
    return " ".join([word, " and ".join(bounds)]).strip()


def _plural(kind: str) -> str:
    plurals = {"whole number": "whole numbers", "number": "numbers", "mapping": "mappings", "text": "texts"}
    first = next((word for word in plurals if kind.startswith(word)), None)
    return kind if first is None else plurals[first] + kind.removeprefix(first)
