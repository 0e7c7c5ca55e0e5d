"""A class from a user's Python file, `mynorm.py:MyNorm`: its name, its options, and the hash of its source.

Nothing is imported here, and validation reads no files. A class is identified by its name, its options and the
SHA-256 of its file's bytes; the file's location does not count.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from wsnet.config.base import Config, conflict

__all__ = ["BUILT_IN", "FOUND", "OWN", "OwnClass", "bring_sources", "is_own", "read_source"]

_PATTERN = r"\.py:[A-Za-z_]\w*$"
BUILT_IN, OWN = "a class of wsnet's", "a class of one's own"
"""Tags that pydantic inserts into the location of a mistake where a section may be either."""
FOUND = ("source_file", "source_sha256")
"""Fields that are filled in from the name (`reading.own_files.with_source`)."""


class OwnClass(Config):
    """A class from a Python file. Keys other than the fields are options of its constructor.

    Attributes:
        source_file: the file; absolute once a configuration is read.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]

    name: Annotated[str, Field(pattern=_PATTERN)]
    """The file and the class, `mynorm.py:MyNorm`; a relative path is relative to the file that contains it; on
    the command line, to the working directory."""
    source_file: str = ""
    """Path of the file; filled in from the name."""
    source_sha256: str = ""
    """SHA-256 of the file that the results belong to; computed from the file."""

    @property
    def class_name(self) -> str:
        """The class's name, without its file."""
        return self.name.rpartition(":")[2]

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of the constructor besides those that the network supplies."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="before")
    @classmethod
    def _options_are_finite_and_the_source_was_read(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not is_own(data.get("name")):
            return data
        for key in data.keys() - cls.model_fields.keys():
            try:
                json.dumps(data[key], allow_nan=False)
            except ValueError:
                raise conflict((f"must be finite, but got {data[key]!r}", (key,))) from None
        if isinstance(data.get("source_sha256"), OSError):
            raise conflict((str(data["source_sha256"]), ("name",)))
        return data


def is_own(name: object) -> bool:
    """Whether a name is a file and a class in it."""
    return isinstance(name, str) and name.isprintable() and re.search(_PATTERN, name) is not None


_brought: dict[str, bytes] = {}
"""Content of files that may not exist on this machine, by SHA-256."""


def bring_sources(sources: Iterable[bytes]) -> None:
    """Give `read_source` the content of files, so that it needs no file on this machine."""
    _brought.update((hashlib.sha256(source).hexdigest(), source) for source in sources)


def read_source(own: OwnClass) -> bytes:
    """The bytes of the file: those that were brought here, else those on disk.

    Raises:
        ValueError: it is missing, or has changed since the configuration was read.
    """
    if own.source_sha256 in _brought:
        return _brought[own.source_sha256]
    try:
        source = Path(own.source_file).read_bytes()
    except OSError as error:
        raise ValueError(f"{own.source_file} cannot be read: {error.strerror or error}") from None
    found = hashlib.sha256(source).hexdigest()
    if found != own.source_sha256:
        raise ValueError(
            f"{own.source_file} has changed since the trial was planned (SHA-256 {own.source_sha256[:12]}... then, "
            f"{found[:12]}... now); start again, which plans new trials, or restore the file"
        )
    return source
