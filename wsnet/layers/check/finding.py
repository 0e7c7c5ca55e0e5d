"""What a check finds."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Line", "failed", "noted", "passed"]


@dataclass(frozen=True)
class Finding:
    """One check's verdict.

    Attributes:
        verdict: `fail` is a fault, `note` something to know.
        text: a sentence with the number seen, and for a fault the way out.
    """

    verdict: Literal["pass", "fail", "note"]
    text: str


@dataclass(frozen=True)
class Line:
    """One line of a report card: the check's name and its finding."""

    check: str
    finding: Finding


def passed(text: str) -> Finding:
    """All is well."""
    return Finding("pass", text)


def failed(text: str) -> Finding:
    """A fault."""
    return Finding("fail", text)


def noted(text: str) -> Finding:
    """Neither."""
    return Finding("note", text)
