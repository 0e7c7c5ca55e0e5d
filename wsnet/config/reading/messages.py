"""pydantic's errors in wsnet's own words: place, key, value, rule, nearest valid name."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from wsnet.config.errors import Keys, Mistake, did_you_mean, dotted, listed, nearest
from wsnet.config.own_class import BUILT_IN, OWN, OwnClass, is_own
from wsnet.config.reading.located import Located

__all__ = ["Violation", "explain", "validated", "variants"]

_Model = TypeVar("_Model", bound=BaseModel)
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Violation:
    """One rule that some data breaks.

    Attributes:
        paths: where in the data; several if keys conflict, beginning with the one to change.
        message: what was found, the rule, the fix.
        kind: `missing`, `unknown` (a key that is not accepted) or `wrong`.
        meant: the path that an unknown key probably stands for.
        takers: the variants of its section that take a key which has no effect with the chosen one.
    """

    paths: tuple[Keys, ...]
    message: str
    kind: str = "wrong"
    meant: Keys | None = None
    takers: tuple[str, ...] = ()

    def located_in(self, tree: Located) -> Mistake:
        """The mistake, shown at the first of the paths that a case, a grid or `--set` has set, else at the first."""
        spots = [tree.spot(path) for path in self.paths]
        return next((spot for spot in spots if spot.overridden), spots[0]).mistake(self.message)


@dataclass(frozen=True)
class _Rule:
    """`must be <rule>, but got <shown><hint>`: kept in parts, so that alternatives make one sentence."""

    rule: str
    shown: str
    hint: str = ""


def validated(model: type[_Model], data: dict[str, Any]) -> tuple[_Model | None, list[Violation]]:
    """The data as a model, or None and every rule that it breaks.

    pydantic checks rules over several keys only if no key is unknown, so if nothing else is wrong, the data is
    validated again without its unknown keys.
    """
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        violations = explain(error, model, data)
    if all(violation.kind == "unknown" for violation in violations):
        for violation in violations:
            data = _without(data, violation.paths[0])
        violations = violations + validated(model, data)[1]
    misspelt = {violation.meant for violation in violations}  # Their values are known only under another name.
    return None, [violation for violation in violations if violation.paths[0] not in misspelt]


def explain(error: ValidationError, model: type[BaseModel], data: Any) -> list[Violation]:
    """Every rule that `data` breaks as `model`, from the error of its validation."""
    violations: list[Violation] = []
    rules: dict[Keys, list[_Rule]] = {}
    for details in error.errors():
        path = _data_path(details["loc"], data)
        if details["type"] == "conflict":
            for text, keys in details["ctx"]["found"]:
                violations.append(Violation(tuple((*path, *key.split(".")) for key in keys), text))
        elif details["type"] == "extra_forbidden":
            violations.append(_unknown_key(path, model, data))
        elif details["type"] == "missing" and not isinstance(details["loc"][-1], int):
            violations.append(Violation((path,), "missing, and it has no default", "missing"))
        elif details["type"] == "union_tag_not_found":
            text = f"needs a 'name', one of {', '.join(_names(model, path, data))}"
            violations.append(Violation((path,), text, "missing"))
        else:
            message = _message(details, path, model, data)
            if isinstance(message, str):
                is_name = details["type"] == "union_tag_invalid"
                violations.append(Violation((path, (*path, "name")) if is_name else (path,), message))
            else:
                rules.setdefault(path, []).append(message)
    return violations + [Violation((path,), _sentence(broken)) for path, broken in rules.items()]


def variants(annotation: Any) -> list[type[BaseModel]]:
    """The configuration classes that a field may hold; several where its `name` chooses between them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Annotated:
        return variants(get_args(annotation)[0])
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        return [variant for member in get_args(annotation) for variant in variants(member)]
    return []


def variant_name(model: type[BaseModel]) -> str:
    """The `name` that chooses this class among its siblings."""
    if issubclass(model, OwnClass):
        return "FILE.py:CLASS"
    return str(get_args(model.model_fields["name"].annotation)[0])


def _data_path(loc: Keys, data: Any) -> Keys:
    """pydantic's location without the variant names that it inserts."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if part in (BUILT_IN, OWN):
            continue
        if isinstance(data, dict) and part == data.get("name") and not last and part not in data:
            continue
        listed = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if listed or (isinstance(data, dict) and part in data):
            path.append(part)
            data = data[part]
        elif last and isinstance(data, dict) and part != data.get("name"):
            path.append(part)
    return tuple(path)


def _message(details: ErrorDetails, path: Keys, model: type[BaseModel], data: Any) -> str | _Rule:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "union_tag_invalid":
        name = value.get("name") if isinstance(value, dict) else context["tag"]
        return f"unknown name {_shown(name)}{did_you_mean(name, _names(model, path, data))}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _KINDS:
        quoted = _KINDS[kind].endswith("number") and isinstance(value, str) and _NUMBER.fullmatch(value)
        hint = "; write it without quotes" if quoted else ""
        if _KINDS[kind] == "a mapping" and isinstance(value, str) and value in _names(model, path, data):
            hint = f"; write {{name: {value}}}"
        if _KINDS[kind] == "a list" and type(value) in (str, int) and re.fullmatch(r"[\w./-]+", str(value)):
            hint = f"; write [{value}]"
        return _Rule(_KINDS[kind], _shown(value), hint)
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", context["expected"])
        near = did_you_mean(value, words, otherwise="") if isinstance(value, str) else ""
        if path[-1:] == ("depth",) and isinstance(value, int):
            near = _architectures_with(value, model, path[:-1], data)
        one_of = "one of " if len(words) != 1 else ""
        return _Rule(f"{one_of}{context['expected']}", _shown(value), near)
    if kind == "missing":  # in a list: pydantic reports the first missing position
        return f"must have more items, but has only {details['loc'][-1]}"
    if kind == "too_long":
        return f"must have at most {context['max_length']} items, but has {context['actual_length']}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, but got {_shown(value)}"
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters, but got {_shown(value)}"
    return _Rule(details["msg"].removeprefix("Input should be ").removeprefix("Value should "), _shown(value))


def _architectures_with(depth: int, model: type[BaseModel], path: Keys, data: Any) -> str:
    """`; 'cifar_resnet' has it`: the architectures of a similar name that have such a depth."""
    name = str(_at(data, path).get("name"))
    having = []
    for other in _classes_at(model, path, data):
        with suppress(ValidationError):
            other.model_validate({"name": variant_name(other), "depth": depth})
            having.append(variant_name(other))
    similar = [repr(each) for each in having if name in each]
    return f"; {' and '.join(similar)} {'has' if len(similar) == 1 else 'have'} it" if similar else ""


def _sentence(broken: list[_Rule]) -> str:
    """A field that takes a number or a word fails both rules; the user sees one mistake."""
    rules = dict.fromkeys(part.rule for part in broken)
    hint = next((part.hint for part in broken if part.hint), "")
    return f"must be {' or '.join(rules)}, but got {broken[0].shown}{hint}"


def _unknown_key(path: Keys, model: type[BaseModel], data: Any) -> Violation:
    key = str(path[-1])
    here = _classes_at(model, path[:-1], data)
    section = _at(data, path[:-1])
    chosen = _chosen(here, section.get("name"))
    takers = [variant_name(cls) for cls in here if key in cls.model_fields] if len(here) > 1 else []
    if takers:
        only = f"only {listed([*map(repr, takers)])} {'takes' if len(takers) == 1 else 'take'} it"
        return Violation((path,), f"has no effect with {section.get('name')!r}; {only}", "unknown", None, tuple(takers))
    if below := [name for cls in chosen for name, field in cls.model_fields.items() if _has_key(field.annotation, key)]:
        sections = " or ".join(dotted((*path[:-1], name)) for name in dict.fromkeys(below))
        return Violation((path,), f"unknown key; it belongs under {sections}", "unknown")
    names = dict.fromkeys(name for cls in chosen for name in cls.model_fields)
    near = nearest(key, names)
    meant = None if near is None or near in section else (*path[:-1], near)
    return Violation((path,), f"unknown key{did_you_mean(key, names)}", "unknown", meant)


def _has_key(annotation: Any, key: str) -> bool:
    """Whether a subsection has a key that tells it from others."""
    return key != "name" and any(key in variant.model_fields for variant in variants(annotation))


def _names(model: type[BaseModel], path: Keys, data: Any) -> list[str]:
    classes = _classes_at(model, path, data)
    return [variant_name(cls) for cls in classes] if len(classes) > 1 else []


def _classes_at(model: type[BaseModel], path: Keys, data: Any) -> list[type[BaseModel]]:
    """The classes that may stand at a path, following the chosen variant on the way down."""
    classes: Iterable[type[BaseModel]] = [model]
    for part in path:
        named = data.get("name") if isinstance(data, dict) else None
        siblings = list(classes)
        chosen = _chosen(siblings, named)
        fields = [cls.model_fields[str(part)] for cls in chosen if str(part) in cls.model_fields]
        classes = variants(fields[0].annotation) if fields else []
        data = _at(data, (part,))
    return list(classes)


def _chosen(siblings: list[type[BaseModel]], name: object) -> list[type[BaseModel]]:
    """The class that a name chooses; all of them if it chooses none."""
    if len(siblings) == 1:
        return siblings
    own = is_own(name)
    return [c for c in siblings if (issubclass(c, OwnClass) if own else variant_name(c) == name)] or siblings


def _without(data: dict[str, Any], path: Keys) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {key: value for key, value in data.items() if key != first}
    return {**data, str(first): _without(data[str(first)], tuple(rest))}


def _at(data: Any, path: Keys) -> dict[str, Any]:
    for part in path:
        data = data[part] if isinstance(data, dict) and part in data else {}
    return data if isinstance(data, dict) else {}


def _shown(value: Any) -> str:
    """A value roughly as it is written in the file."""
    words = {None: "nothing", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
