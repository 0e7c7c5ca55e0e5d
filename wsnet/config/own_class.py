"""A class from a Python file of the user's, `mynorm.py:MyNorm`: where it is, what it is made with, what its source was.

Nothing is imported here. A class is identified by its name, its options and the SHA-256 of its file's bytes; where the
file lies does not count.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from wsnet.config.base import Config, conflict
from wsnet.config.errors import did_you_mean

__all__ = ["BUILT_IN", "OWN", "OWN_OPTION", "OwnClass", "is_own", "locate", "origin", "read_source", "uses_own"]

_PATTERN = r"\.py:[A-Za-z_]\w*$"
BUILT_IN, OWN = "a class of wsnet's", "a class of one's own"
"""What pydantic puts into the place of a mistake where a section may be either."""
OWN_OPTION = re.compile(r"model\.norm\.[A-Za-z_]\w*")
"""Dotted keys that may be options of an own class."""
_FOUND = ("source_file", "source_sha256")
"""Fields that are found out from the name."""


class OwnClass(Config):
    """A class from a Python file. Keys beside the fields are options of its constructor.

    Attributes:
        source_file: the file; absolute once a configuration is read.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]

    name: Annotated[str, Field(pattern=_PATTERN)]
    """The file and the class, `mynorm.py:MyNorm`; a relative path is relative to the file that says it, and on the
    command line to the working directory."""
    source_file: str = ""
    """Where the file is; found from the name."""
    source_sha256: str = ""
    """SHA-256 of the file that the results are of; found from the file."""

    @property
    def class_name(self) -> str:
        """The class without its file."""
        return self.name.rpartition(":")[2]

    @property
    def options(self) -> dict[str, Any]:
        """What the constructor gets beside what the network decides."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not is_own(data.get("name")):
            return data
        for key in data.keys() - cls.model_fields.keys():
            try:
                json.dumps(data[key], allow_nan=False)
            except ValueError:
                raise conflict((f"must be finite, but got {data[key]!r}", (key,))) from None
        text = data.get("source_file") or data["name"].rpartition(":")[0]
        if data.get("source_sha256") or not isinstance(text, str):  # A hash is compared when the class is loaded.
            return data
        file = Path(os.path.expanduser(text)).absolute()
        try:
            source = file.read_bytes()
        except FileNotFoundError:
            files = sorted(str(other) for other in file.parent.glob("*.py")) if file.parent.is_dir() else []
            near = did_you_mean(str(file), files)
            raise _mistake(f"no such file: {file}{near if 'did you mean' in near else ''}") from None
        except (OSError, ValueError) as error:
            raise _mistake(f"can not be read: {error}") from None
        return {**data, "source_file": str(file), "source_sha256": hashlib.sha256(source).hexdigest()}


def is_own(name: object) -> bool:
    """Whether a name is a file and a class in it."""
    return isinstance(name, str) and name.isprintable() and re.search(_PATTERN, name) is not None


def read_source(own: OwnClass) -> bytes:
    """The bytes of the file.

    Raises:
        ValueError: it is not there, or is not what it was when the configuration was read.
    """
    try:
        source = Path(own.source_file).read_bytes()
    except OSError as error:
        raise ValueError(f"{own.source_file} can not be read: {error.strerror or error}") from None
    found = hashlib.sha256(source).hexdigest()
    if found != own.source_sha256:
        raise ValueError(
            f"{own.source_file} has changed since the trial was planned (SHA-256 {own.source_sha256[:12]}... then, "
            f"{found[:12]}... now); start again, which makes other trials of it, or put the file back"
        )
    return source


def uses_own(data: object, pairs: Iterable[str] = ()) -> bool:
    """Whether an own norm may be in use: its options are keys that only its constructor knows.

    Args:
        data: a file's data.
        pairs: the `key=value` pairs of `--set`.
    """
    return _names_own(data, ()) or any(".py:" in pair for pair in pairs)


def _names_own(data: object, at: tuple[str, ...]) -> bool:
    if isinstance(data, Mapping):  # A key may be dotted.
        return any(_names_own(value, (*at, *str(key).split("."))) for key, value in data.items())
    if isinstance(data, list):
        return any(_names_own(value, at) for value in data)
    return at[-2:] == ("norm", "name") and is_own(data)


def locate(trial: dict[str, Any], folder: Path, typed: Mapping[str, bool]) -> dict[str, Any]:
    """A trial's data with the place of its own norm's file.

    Args:
        trial: the data, unchecked.
        folder: folder of the file that it was read from.
        typed: dotted keys that override the file, in order; to whether they stand on the command line, whose paths
            are relative to the working directory.
    """
    model = trial.get("model")
    norm = model.get("norm") if isinstance(model, dict) else None
    if not isinstance(norm, dict) or not is_own(norm.get("name")):
        return trial
    by_name, by_file = (origin(f"model.norm.{key}", typed) for key in ("name", "source_file"))
    if by_name is not None and by_file is None:  # What the file says of another class.
        norm = {key: value for key, value in norm.items() if key not in _FOUND}
    text, on_command_line = norm["name"].rpartition(":")[0], by_name
    if norm.get("source_file"):
        text, on_command_line = norm["source_file"], by_file
    if isinstance(text, str):
        base = Path.cwd() if on_command_line else folder.absolute()
        norm = {**norm, "source_file": str(base / os.path.expanduser(text))}
    return {**trial, "model": {**model, "norm": norm}}  # type: ignore[dict-item]


def origin(key: str, typed: Mapping[str, bool]) -> bool | None:
    """Whether the last override of a key, or of a section around it, is the command line's; None without one."""
    covering = [is_typed for other, is_typed in typed.items() if key == other or key.startswith(f"{other}.")]
    return covering[-1] if covering else None


def _mistake(text: str) -> PydanticCustomError:
    return conflict((text, ("name",)))
