"""Keys of a sweep file at a wrong depth: told once, and then read as if they were where they probably belong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wsnet.config.errors import Keys, Mistake
from wsnet.config.reading.keys import NOT_AN_AXIS, TrialKeys
from wsnet.config.reading.located import Located
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = ["indented"]

_OF_FILE = [key for key in SweepConfig.model_fields if key not in TrialConfig.model_fields and key != "base"]
"""Sections of a file that no trial has."""


@dataclass(frozen=True)
class _Move:
    """Keys that belong elsewhere.

    Attributes:
        where: the path of what holds them.
        keys: their names.
        to: the path of what should hold them.
        rule: what is wrong.
    """

    where: Keys
    keys: tuple[str, ...]
    to: Keys
    rule: str


def indented(tree: Located, keys: TrialKeys) -> tuple[Located, list[Mistake]]:
    """The file's values with every key in its section, and a mistake for each group of keys that were not.

    Args:
        tree: the file.
        keys: the dotted keys that a trial may have.
    """
    mistakes = []
    for move in _moves(tree, keys):
        mistakes.append(tree.spot((*move.where, move.keys[0])).mistake(move.rule))
        tree = _moved(tree, move)
    return tree, mistakes


def _moves(tree: Located, keys: TrialKeys) -> Iterator[_Move]:
    yield from _of_trials_at_the_top(tree, keys)
    for where in [("base",), *(("base", section) for section in TrialConfig.model_fields)]:
        sections = _OF_FILE if len(where) == 1 else ["cases", "grid"]
        for key in (key for key in sections if key in _names(tree, where)):
            rule = f"belongs to the whole file: write {key!r} at the beginning of a line, not indented under 'base'"
            yield _Move(where, (key,), (), rule)
    if "grid" in _names(tree, ("grid",)):
        rule = "is a grid in a grid: indent its keys under the outer one alone"
        yield _Move(("grid",), ("grid",), (), rule)


def _of_trials_at_the_top(tree: Located, keys: TrialKeys) -> Iterator[_Move]:
    """Keys of a trial at the top of the file: those with several values belong to the grid, the others to `base`."""
    found = [key for key in _names(tree, ()) if key in keys and key not in (*SweepConfig.model_fields, *NOT_AN_AXIS)]
    varied = [key for key in found if _varies(key, tree)]
    for section, names in (("grid", varied), ("base", [key for key in found if key not in varied])):
        if names:
            others = f", and so must {' and '.join(names[1:])}" if len(names) > 1 else ""
            yield _Move((), tuple(names), (section,), f"must be indented under {section!r}{others}")


def _varies(key: str, tree: Located) -> bool:
    value = tree.at((key,))
    return "." in key and value is not None and isinstance(value.value, list | dict)


def _moved(tree: Located, move: _Move) -> Located:
    holder = tree.at(move.where)
    assert holder is not None and isinstance(holder.value, dict), "the keys were found there"
    rest = {key: value for key, value in holder.value.items() if key not in move.keys}
    tree = tree.put(move.where, Located(rest, holder.place, holder.key))
    for key in move.keys:
        to: Keys = (*move.to, *key.split(".")) if move.to == ("base",) else (*move.to, key)
        tree = _put(tree, to, holder.value[key])
    return tree


def _put(tree: Located, path: Keys, value: Located) -> Located:
    """A copy with a value put at a path; of two mappings the keys of both, of two others the one that was there."""
    there = tree.at(path)
    if there is None or there.value is None:
        return tree.put(path, value)
    if isinstance(there.value, dict) and isinstance(value.value, dict):
        for key, inner in value.value.items():
            tree = _put(tree, (*path, key), inner)
    return tree


def _names(tree: Located, path: Keys) -> Iterable[str]:
    found = tree.at(path)
    return found.value if found is not None and isinstance(found.value, dict) else ()
