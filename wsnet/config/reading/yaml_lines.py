"""A YAML 1.2 file, read so that every value knows its line."""

import datetime
import io
import shlex
import stat
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

from wsnet.called import called
from wsnet.config.errors import ConfigError, Keys, Mistake, dotted, nearest
from wsnet.config.reading.located import COMMAND_LINE, Located
from wsnet.config.reading.yaml_syntax import way_out

__all__ = ["YamlFile", "dump_yaml", "located_value", "parse_value"]

_Node = CommentedMap | CommentedSeq

_MOST_BYTES, _MOST_VALUES, _MOST_BITS = 10_000_000, 500_000, 64
"""Limits of a file, far above any real one: its size, its values with every alias written out, and the bits of a whole
number."""


@dataclass(frozen=True)
class YamlFile:
    """A parsed file.

    Attributes:
        name: the file's name, as the user gave it.
        tree: what it holds, each value with its line.
        mistakes: keys that are not strings, which are left out of the tree, and values that no configuration can have,
            which are None in it.
    """

    name: str
    tree: Located
    mistakes: list[Mistake] = field(default_factory=list)

    @classmethod
    def read(cls, path: str | Path) -> "YamlFile":
        """Parse a file.

        Raises:
            ConfigError: the file is missing, unreadable or too large, not YAML, not a mapping, or has a duplicate key.
        """
        name = str(path)
        if (wrong := _unreadable(Path(path))) is not None:
            raise ConfigError([Mistake(name, "", wrong)])
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise ConfigError([Mistake(name, "", f"no such file{_neighbours(Path(path))}")]) from None
        except (OSError, ValueError) as error:
            raise ConfigError([Mistake(name, "", f"cannot be read: {error}")]) from None
        return cls.parse(text, name)

    @classmethod
    def parse(cls, text: str, name: str) -> "YamlFile":
        """Parse a file's text; see `read`."""
        root = _load(text, name)
        if root is None:
            raise ConfigError([Mistake(f"{name}:1", "", "the file is empty")])
        if not isinstance(root, CommentedMap):
            raise ConfigError([Mistake(f"{name}:1", "", "must be a mapping of keys to values, but is not")])
        reader = _Reader(name)
        return cls(name, reader.located(root, f"{name}:1", ()), reader.mistakes)

    @property
    def data(self) -> dict[str, Any]:
        """The file's content as plain data."""
        plain: dict[str, Any] = self.tree.plain()
        return plain


def parse_value(text: str) -> Any:
    """Read a value as YAML would, so that `3` is a number.

    Raises:
        ConfigError: it is not valid YAML.
    """
    return located_value(text, "").plain()


def located_value(text: str, key: str) -> Located:
    """The value of `--set key=text`, read as YAML would.

    Raises:
        ConfigError: it is not valid YAML.
    """
    reader = _Reader(None)
    value = reader.located(_load(text, COMMAND_LINE), COMMAND_LINE, ())
    if reader.mistakes:
        raise ConfigError(reader.mistakes)
    return Located(value.value, COMMAND_LINE, key)


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
        problem = error.problem or error.context or "cannot be parsed"
        raise ConfigError([Mistake(f"{name}:{line}", "", f"not valid YAML: {problem}{way_out(error)}")]) from None
    except RecursionError:
        raise ConfigError([Mistake(f"{name}:1", "", "not valid YAML: nested too deeply")]) from None
    except Exception as error:  # ruamel lets through what its scalars raise: ValueError, KeyError, AttributeError, ...
        raise ConfigError([Mistake(f"{name}:1", "", f"not valid YAML: {' '.join(str(error).split())}")]) from None


class _Reader:
    """Turns ruamel's annotated nodes into located values.

    Args:
        name: the file's name; None for the command line, which has no lines.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.mistakes: list[Mistake] = []
        self._around: list[int] = []
        self._values = 0

    def located(self, node: Any, place: str, path: Keys) -> Located:
        """The value of a node that was written at a place.

        Raises:
            ConfigError: there are too many values, which only aliases of aliases can make.
        """
        self._values += 1
        if self._values > _MOST_VALUES:
            raise ConfigError(
                [Mistake(place, dotted(path), f"must have at most {_MOST_VALUES:,} values in all aliases")]
            )
        if not isinstance(node, _Node):
            return Located(self._scalar(node, place, path), place)
        if id(node) in self._around:
            self._mistake(place, path, "must not contain itself")
            return Located(None, place)
        self._around.append(id(node))
        try:
            if isinstance(node, CommentedMap):
                return Located(self._mapping(node, place, path), place)
            return Located(self._list(node, place, path), place)
        finally:
            self._around.pop()

    def _mapping(self, node: CommentedMap, place: str, path: Keys) -> dict[str, Located]:
        found = {}
        for key, value in node.items():
            here = self._place(node, key, place)
            if isinstance(key, str):
                found[str(key)] = self.located(value, here, (*path, key))
            else:
                self._mistake(here, (*path, str(key)), "a key must be a text")
        return found

    def _list(self, node: CommentedSeq, place: str, path: Keys) -> list[Located]:
        return [self.located(v, self._place(node, i, place), (*path, i)) for i, v in enumerate(node)]

    def _scalar(self, node: Any, place: str, path: Keys) -> Any:
        if isinstance(node, int) and node.bit_length() > _MOST_BITS:
            self._mistake(place, path, f"must be a number of at most {_MOST_BITS} bits, but has {node.bit_length()}")
            return None
        for annotated, plain in ((ScalarBoolean, bool), (ScalarInt, int), (ScalarFloat, float), (ScalarString, str)):
            if isinstance(node, annotated):
                return plain(node)
        if isinstance(node, datetime.date):  # Not a date in YAML 1.2; it may be a sweep's name.
            return node.isoformat()
        if node is None or type(node) in (bool, int, float, str):
            return node
        self._mistake(place, path, "must be a number, a string, true, false, a list or a mapping, without a YAML tag")
        return None

    def _place(self, node: _Node, key: Any, around: str) -> str:
        """`file:line` of a key or an item; what came with a YAML merge has no line of its own."""
        position = (node.lc.data or {}).get(key)
        return around if position is None or self.name is None else f"{self.name}:{position[0] + 1}"

    def _mistake(self, place: str, path: Keys, message: str) -> None:
        self.mistakes.append(Mistake(place, dotted(path), message))


def _unreadable(path: Path) -> str | None:
    """Why a file must not even be opened: a pipe would be waited for for ever, a huge file would fill the memory."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # Reading it says more.
        return None
    if (path / "sweep.json").exists():
        folder, file = shlex.quote(str(path)), shlex.quote(str(path / "sweep.yaml"))
        return (
            f"is the folder of a sweep, not its file; see `{called('status')} {folder}` and "
            f"`{called('analyze')} {folder}`, and for its file {file}"
        )
    if not stat.S_ISREG(found.st_mode):
        return "cannot be read: must be a file, but is a folder, a pipe or a device"
    if found.st_size > _MOST_BYTES:
        return f"must have at most {_MOST_BYTES // 10**6} MB; is it a YAML file?"
    return None


def _neighbours(path: Path) -> str:
    """The file that was meant, beside it or among the `sweeps`; files whose name begins with a dot are never meant."""
    folders = [folder for folder in (path.parent, path.parent / "sweeps") if folder.is_dir()]
    files = [str(each) for folder in folders for each in sorted(folder.glob("*.y*ml")) if each.name[0] != "."]
    by_name = {Path(each).stem: each for each in reversed(files)}
    if (near := nearest(str(path), files)) is None and (stem := nearest(path.stem, by_name)) is not None:
        near = by_name[stem]
    known = f"; known: {', '.join(files[:8])}{', ...' if len(files) > 8 else ''}" if files else ""
    return known if near is None else f"; did you mean {near!r}?"
