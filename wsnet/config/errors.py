"""Mistakes in a configuration: all of them at once, each with its place, its value, the rule and the fix."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ConfigError", "Keys", "Mistake", "did_you_mean", "dotted", "in_order"]

Keys = tuple[str | int, ...]
"""A path of keys and list positions into nested data."""


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake.

    Attributes:
        place: `file:line`, or `--set` for the command line.
        key: dotted key as it stands in the file, such as `base.model.depth`; empty for the file as a whole.
        message: what was found, the rule, the fix.
    """

    place: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.message}" if self.key else f"{self.place}: {self.message}"


class ConfigError(ValueError):
    """An invalid configuration; its text has one line per mistake."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = list(dict.fromkeys(mistakes))
        super().__init__("\n".join(map(str, self.mistakes)))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`; did you mean 'depth'?`, or the list of known names if none is similar."""
    names = list(known)
    near = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""


def dotted(keys: Keys) -> str:
    """A path as a person writes it: `cases[0].model.norm.name`."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f"{'.' if text else ''}{key}"
    return text


def in_order(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Each mistake once: first those of the command line, then those of the file by line."""
    return sorted(set(mistakes), key=_by_line)


def _by_line(mistake: Mistake) -> tuple[str, int, str, str]:
    name, _, line = mistake.place.rpartition(":")
    return (name, int(line) if line.isdigit() else 0, mistake.key, mistake.message)
