"""Mistakes in a configuration: all of them at once, each with its place, its value, the rule and the fix."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wsnet.errors import Error

__all__ = ["ConfigError", "Keys", "Mistake", "counted", "did_you_mean", "dotted", "in_order", "listed", "nearest"]

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
        parts = (self.place, self.key, self.message) if self.key else (self.place, self.message)
        return ": ".join(map(_cut, parts))


_LONGEST = 2000
"""Characters of a message; a value from a file may have millions."""


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} ... ({len(text) - _LONGEST:,} characters) ... {text[-half:]}"


class ConfigError(Error):
    """An invalid configuration; its text has one line per mistake."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = list(dict.fromkeys(mistakes))
        super().__init__("\n".join(map(str, self.mistakes)))


_SWITCHES = ("on", "off", "yes", "no", "true", "false")
"""Short words whose letters are in many names, but which mean none of them: `on` is not `none`."""


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known name most similar to a word; None if none is similar, or the word is one for yes or no."""
    if str(word).lower() in _SWITCHES:
        return None
    return next(iter(difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: object, known: Iterable[str], *, otherwise: str | None = None) -> str:
    """`; did you mean 'depth'?`; if no known name is similar, `otherwise`, which is by default a list of them."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"; did you mean {near!r}?"
    if otherwise is not None:
        return otherwise
    return f"; known: {', '.join(names)}" if names else ""


def counted(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(words: Sequence[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


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
