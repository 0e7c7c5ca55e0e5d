"""Lengths of time as people write them: `600`, `90s`, `10min`, `2h`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

__all__ = ["Duration", "seconds_of"]

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
