"""The base of every configuration class: frozen, strict, no unknown keys."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

__all__ = [
    "Config",
    "Fraction",
    "NonNegative",
    "NonNegativeInt",
    "Positive",
    "PositiveInt",
    "absolute",
    "as_tuple",
    "conflict",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(ge=1, le=2**63 - 1)]
NonNegativeInt = Annotated[int, Field(ge=0, le=2**63 - 1)]


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
