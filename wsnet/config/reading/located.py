"""Values that remember where they were written, even after merging."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wsnet.config.errors import Keys, Mistake, dotted

__all__ = ["COMMAND_LINE", "Located", "Spot"]

COMMAND_LINE = "--set"
"""The place of everything that was not written in the file."""


@dataclass(frozen=True)
class Spot:
    """Where something was written.

    Attributes:
        place: `file:line`, or `--set`.
        key: the dotted key as it was written there.
        overridden: whether it is an override from a case, a grid or `--set`.
    """

    place: str
    key: str
    overridden: bool

    def mistake(self, message: str) -> Mistake:
        """A mistake here."""
        return Mistake(self.place, self.key, message)


@dataclass(frozen=True, slots=True)
class Located:
    """A value with its place. Immutable: putting a value into a mapping makes a new mapping.

    Attributes:
        value: a number, a string, true, false or None; or a dict or list of located values.
        place: `file:line` of its key, or `--set`.
        key: set only for a value that was moved, such as a case's `model.norm.name`, put at model -> norm -> name: the
            dotted key it was written under.
    """

    value: Any
    place: str
    key: str | None = None

    def at(self, path: Keys) -> "Located | None":
        """The value at a path of keys and list positions; None where there is none."""
        node: Located | None = self
        for name in path:
            node = None if node is None else node._child(name)
        return node

    def spot(self, path: Keys) -> Spot:
        """Where the value at a path was written; for a path that does not exist, the nearest place around it."""
        node: Located | None = self
        place, key, overridden = self.place, self.key or "", False
        for name in path:
            node = None if node is None else node._child(name)
            if node is not None and node.key is not None:
                place, key, overridden = node.place, node.key, True
                continue
            place = place if node is None else node.place
            key += dotted((name,)) if isinstance(name, int) or not key else f".{name}"
        return Spot(place, key, overridden)

    def put(self, path: Keys, value: "Located") -> "Located":
        """A copy with a value put at a path of keys.

        A missing (or empty) section is created. One that is not a mapping is kept, so that its mistake is found.
        """
        if not path:
            return value
        section = {} if self.value is None else self.value
        if not isinstance(section, dict):
            return self
        first, rest = path[0], path[1:]
        inner = section.get(first) or Located(None, self.place)
        return Located({**section, first: inner.put(rest, value)}, self.place, self.key)

    def merged(self, overrides: Mapping[str, "Located"]) -> "Located":
        """A copy with all of the overrides put at their dotted keys, in order."""
        tree = self
        for key, value in overrides.items():
            tree = tree.put(tuple(key.split(".")), value)
        return tree

    def plain(self) -> Any:
        """The value as plain Python data."""
        if isinstance(self.value, dict):
            return {key: inner.plain() for key, inner in self.value.items()}
        if isinstance(self.value, list):
            return [inner.plain() for inner in self.value]
        return self.value

    @classmethod
    def of(cls, data: Any, place: str) -> "Located":
        """Plain data, all of it written at one place."""
        if isinstance(data, dict):
            return cls({key: cls.of(inner, place) for key, inner in data.items()}, place)
        return cls([cls.of(inner, place) for inner in data] if isinstance(data, list) else data, place)

    def _child(self, name: str | int) -> "Located | None":
        if isinstance(self.value, dict):
            return self.value.get(name)
        listed = isinstance(self.value, list) and isinstance(name, int) and name < len(self.value)
        return self.value[name] if listed else None
