"""Keys of a sweep file at a wrong depth: told once, and then read as if they were where they probably belong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wsnet.config.errors import Keys, Mistake, listed
from wsnet.config.reading.keys import NOT_AN_AXIS, TrialKeys, sweep_keys
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
        keys: their names, each with its name where it belongs.
        to: the path of what should hold them.
        rule: what is wrong.
    """

    where: Keys
    keys: dict[str, str]
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
        mistakes.append(tree.spot((*move.where, next(iter(move.keys)))).mistake(move.rule))
        tree = _moved(tree, move)
    return tree, mistakes


def _moves(tree: Located, keys: TrialKeys) -> Iterator[_Move]:
    yield from _of_trials_at_the_top(tree, keys)
    for where in [("base",), *(("base", section) for section in TrialConfig.model_fields)]:
        sections = _OF_FILE if len(where) == 1 else ["cases", "grid"]
        for key in (key for key in sections if key in _names(tree, where)):
            rule = f"belongs to the whole file: write {key!r} at the beginning of a line, not indented under 'base'"
            yield _Move(where, {key: key}, (), rule)
    if "grid" in _names(tree, ("grid",)):
        rule = "is a grid in a grid: indent its keys under the outer one alone"
        yield _Move(("grid",), {"grid": "grid"}, (), rule)


def _of_trials_at_the_top(tree: Located, keys: TrialKeys) -> Iterator[_Move]:
    """Keys of a trial at the top of the file: those with several values belong to the grid, the others to `base`."""
    strays = [key for key in _names(tree, ()) if key not in (*SweepConfig.model_fields, *NOT_AN_AXIS)]
    meant = {key: [key] if key in keys else _ending_in(key, keys) for key in strays}
    found = {key: names[0] for key, names in meant.items() if len(names) == 1}
    varied = {key: name for key, name in found.items() if "." in name and _has_several_values(tree.at((key,)))}
    fixed = {key: name for key, name in found.items() if key not in varied}
    for section, names in (("grid", varied), ("base", fixed)):
        if names:
            first, *others = (f"{key}{_as(key, name, section)}" for key, name in names.items())
            rule = f"must be indented under {section!r}{first.removeprefix(next(iter(names)))}"
            yield _Move((), names, (section,), f"{rule}, and so must {listed(others)}" if others else rule)


def _ending_in(key: str, keys: TrialKeys) -> list[str]:
    """The keys of a trial that may have been meant by their last part; none if the file's own sections have it too."""
    return [] if any(own.split(".")[-1] == key for own in sweep_keys()) else keys.ending_in(key)


def _as(key: str, name: str, section: str) -> str:
    """How a key is written in its section; empty where that does not change."""
    if section == "grid" or "." not in name:
        return "" if key == name else f" as {name}"
    *around, last = name.split(".")
    return f" as {''.join(f'{part}: {{' for part in around)}{last}: ...{'}' * len(around)}"


def _has_several_values(value: Located | None) -> bool:
    """Whether a value is a list or a range."""
    inner = None if value is None else value.value
    return isinstance(inner, list) or (isinstance(inner, dict) and any(key.endswith("uniform") for key in inner))


def _moved(tree: Located, move: _Move) -> Located:
    holder = tree.at(move.where)
    assert holder is not None and isinstance(holder.value, dict), "the keys were found there"
    rest = {key: value for key, value in holder.value.items() if key not in move.keys}
    tree = tree.put(move.where, Located(rest, holder.place, holder.key))
    for key, name in move.keys.items():
        to: Keys = (*move.to, *name.split(".")) if move.to == ("base",) else (*move.to, name)
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
