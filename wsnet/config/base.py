"""The base of every configuration class (frozen, strict, no unknown keys), and the types of its numbers and times."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

__all__ = [
    "Config",
    "Duration",
    "Fraction",
    "NonNegative",
    "NonNegativeInt",
    "Positive",
    "PositiveInt",
    "absolute",
    "as_tuple",
    "conflict",
    "seconds_of",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(ge=1, le=2**63 - 1)]
NonNegativeInt = Annotated[int, Field(ge=0, le=2**63 - 1)]

_SECONDS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_PATTERN = r"(\d+(?:\.\d+)?) ?(s|min|h|d)?"


def seconds_of(value: Any) -> Any:
    """The seconds of a time written with its unit; a value that is not a string is given back unchanged.

    Raises:
        ValueError: it is not a time of at least one second.
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(_PATTERN, value.strip())
    seconds = float(found[1]) * _SECONDS[found[2] or ""] if found else 0.0
    if not 1 <= seconds <= 1e9:
        raise ValueError(f"must be a time of at least 1 s, such as 600 (seconds), 90s, 10min or 2h, but got {value!r}")
    return seconds


Duration = Annotated[
    float,
    Field(ge=1, le=1e9, allow_inf_nan=False),
    BeforeValidator(seconds_of),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 1}, {"type": "string", "pattern": f"^{_PATTERN}$"}]}),
]
"""A time in seconds, at least 1; a sweep file may give it with its unit."""


def as_tuple() -> Any:
    """Mark a tuple field as one that YAML's lists may fill (its items stay strict)."""
    return Field(strict=False)


def absolute(value: Any) -> Any:
    """A path made absolute, since a worker on the same machine may run in another folder; other values unchanged."""
    return str(Path(value).expanduser().absolute()) if isinstance(value, str) else value


def conflict(*found: tuple[str, tuple[str, ...]]) -> PydanticCustomError:
    """The error that a validator over several fields raises.

    Args:
        *found: message, and the dotted keys that conflict, relative to the class that raises; the first is the one to
            change. The mistake is shown at the first key that an override sets, otherwise at the first key.
    """
    texts = "; ".join(text for text, _ in found)
    return PydanticCustomError("conflict", "{texts}", {"texts": texts, "found": list(found)})


class Config(BaseModel):
    """A section of a configuration file.

    The docstring under each field is its documentation: it goes into the JSON schema, and from there into editors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
