"""A YAML 1.2 file that remembers its lines."""

import datetime
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarint import ScalarInt
from ruamel.yaml.scalarstring import ScalarString

from wsnet.config.errors import ConfigError, Keys, Mistake, did_you_mean, dotted

__all__ = ["Source", "dump_yaml", "parse_value"]


@dataclass(frozen=True)
class Source:
    """A parsed file.

    Attributes:
        name: the file's name, as the user gave it.
        data: plain Python data.
        lines: line (from 1) of each key and list item, by path.
        mistakes: keys and values that no configuration can have; they are left out of `data`.
    """

    name: str
    data: dict[str, Any]
    lines: dict[Keys, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    @classmethod
    def read(cls, path: str | Path) -> "Source":
        """Parse a file.

        Raises:
            ConfigError: the file is absent, no YAML, no mapping, or has a key twice.
        """
        name = str(path)
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise ConfigError([Mistake(name, "", f"no such file{_neighbours(Path(path))}")]) from None
        except (OSError, ValueError) as error:
            raise ConfigError([Mistake(name, "", f"can not be read: {error}")]) from None
        return cls.parse(text, name)

    @classmethod
    def parse(cls, text: str, name: str) -> "Source":
        """Parse a file's text; see `read`."""
        tree = _load(text, name)
        if tree is None:
            raise ConfigError([Mistake(f"{name}:1", "", "the file is empty")])
        if not isinstance(tree, CommentedMap):
            raise ConfigError([Mistake(f"{name}:1", "", "must be a mapping of keys to values, but is not")])
        reader = _Reader(name)
        return cls(name, reader.plain(tree, ()), reader.lines, reader.mistakes)

    def place(self, path: Keys) -> str:
        """`file:line` of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


def parse_value(text: str) -> Any:
    """Read a value as YAML would, so that `--set train.epochs=3` gives a number.

    Raises:
        ConfigError: it is no YAML.
    """
    tree = _load(text, "--set")
    reader = _Reader("--set")
    value = reader.plain(tree, ())
    if reader.mistakes:
        raise ConfigError(Mistake("--set", mistake.key, mistake.message) for mistake in reader.mistakes)
    return value


def dump_yaml(data: dict[str, Any]) -> str:
    """Write plain data as YAML, short lists on one line."""
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 120
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def _load(text: str, name: str) -> Any:
    try:
        return YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        key = (error.problem or "").split('"')[1:2]
        message = "duplicate key; keep one of them"
        raise ConfigError([Mistake(f"{name}:{line}", key[0] if key else "", message)]) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or error.context or "can not be parsed"
        tab = "; indent with spaces, not with tabs" if "\\t" in problem else ""
        raise ConfigError([Mistake(f"{name}:{line}", "", f"not valid YAML: {problem}{tab}")]) from None
    except RecursionError:
        raise ConfigError([Mistake(f"{name}:1", "", "not valid YAML: nested too deeply")]) from None
    except Exception as error:  # ruamel lets out whatever its scalars raise: ValueError, KeyError, AttributeError, ...
        raise ConfigError([Mistake(f"{name}:1", "", f"not valid YAML: {' '.join(str(error).split())}")]) from None


class _Reader:
    """Turns ruamel's annotated tree into plain data, noting each key's line on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Keys, int] = {}
        self.mistakes: list[Mistake] = []
        self._around: list[int] = []

    def plain(self, node: Any, path: Keys) -> Any:
        if isinstance(node, CommentedMap | CommentedSeq):
            if id(node) in self._around:
                return self._mistake(path, "must not hold itself")
            self._around.append(id(node))
            try:
                return self._mapping(node, path) if isinstance(node, CommentedMap) else self._list(node, path)
            finally:
                self._around.pop()
        for annotated, plain in ((ScalarBoolean, bool), (ScalarInt, int), (ScalarFloat, float), (ScalarString, str)):
            if isinstance(node, annotated):
                return plain(node)
        if isinstance(node, datetime.date):  # YAML 1.2 has no dates: a sweep may be named after a day.
            return node.isoformat()
        if node is None or type(node) in (bool, int, float, str):
            return node
        return self._mistake(path, "must be a number, a text, true, false, a list or a mapping, without a YAML tag")

    def _mapping(self, node: CommentedMap, path: Keys) -> dict[str, Any]:
        data = {}
        for key, value in node.items():
            inner = (*path, key)
            if not isinstance(key, str):
                place = f"{self.name}:{self._line(node, key) or self.lines.get(path, 1)}"
                self.mistakes.append(Mistake(place, dotted((*path, str(key))), "a key must be a text"))
                continue
            self._note(inner, node, key)
            data[str(key)] = self.plain(value, inner)
        return data

    def _list(self, node: CommentedSeq, path: Keys) -> list[Any]:
        for index in range(len(node)):
            self._note((*path, index), node, index)
        return [self.plain(value, (*path, index)) for index, value in enumerate(node)]

    def _note(self, path: Keys, node: CommentedMap | CommentedSeq, key: Any) -> None:
        line = self._line(node, key)
        if line is not None:
            self.lines.setdefault(path, line)

    def _line(self, node: CommentedMap | CommentedSeq, key: Any) -> int | None:
        position = (node.lc.data or {}).get(key)  # Keys that came with a YAML merge have none.
        return None if position is None else position[0] + 1

    def _mistake(self, path: Keys, message: str) -> None:
        self.mistakes.append(Mistake(f"{self.name}:{self.lines.get(path, 1)}", dotted(path), message))


def _neighbours(path: Path) -> str:
    files = sorted(str(other) for other in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
    return did_you_mean(path, files)
