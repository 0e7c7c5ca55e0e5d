"""Compares measured ratios with recorded ones; noise fails nothing."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ratios import Ratio

__all__ = ["TOLERANCE", "TRIES", "Recorded", "Worse", "confirmed", "is_worse", "read_recorded", "worse"]

TOLERANCE = 1 / 3
"""How much worse than recorded a ratio may be, as a part of the recorded value."""

TRIES = 3
"""Times in a row that a ratio must be worse than that."""

Recorded = Mapping[str, Mapping[str, Ratio]]
"""By benchmark and name of the ratio."""


@dataclass(frozen=True)
class Worse:
    """A ratio that is worse than recorded.

    Attributes:
        name: of the ratio.
        recorded: its recorded value.
        value: its value now; None if the benchmark did not report it.
    """

    name: str
    recorded: float
    value: float | None

    def __str__(self) -> str:
        now = "not reported" if self.value is None else f"{self.value:.3g}"
        return f"{self.name}: {now}, recorded {self.recorded:.3g}"


def read_recorded(file: Path) -> dict[str, dict[str, Ratio]]:
    """The ratios in a file that `--json` has written."""
    benchmarks = json.loads(file.read_text(encoding="utf-8"))["benchmarks"]
    return {
        name: {key: Ratio(key, **told) for key, told in of_one["ratios"].items()} for name, of_one in benchmarks.items()
    }


def is_worse(recorded: Ratio, value: float) -> bool:
    """Whether a value is worse than the recorded one by more than `TOLERANCE` of that."""
    if recorded.higher_is_better:
        return not value >= recorded.value * (1 - TOLERANCE)  # NaN is worse.
    return not value <= recorded.value * (1 + TOLERANCE)


def worse(found: Iterable[Ratio], recorded: Mapping[str, Ratio]) -> list[Worse]:
    """The recorded ratios of a benchmark that are worse now, or were not reported. New ones are compared with nothing.

    Args:
        found: what the benchmark has reported.
        recorded: its recorded ratios.
    """
    values = {each.name: each.value for each in found}
    return [
        Worse(name, before.value, values.get(name))
        for name, before in recorded.items()
        if name not in values or is_worse(before, values[name])
    ]


def confirmed(first: Iterable[Ratio], recorded: Mapping[str, Ratio], again: Callable[[], list[Ratio]]) -> list[Worse]:
    """The ratios that are worse `TRIES` times in a row: the benchmark is run again while any is.

    Args:
        first: what the benchmark has reported.
        recorded: its recorded ratios.
        again: runs the benchmark once more, and returns what it reports.
    """
    found = worse(first, recorded)
    for _ in range(TRIES - 1):
        if not found:
            break
        found = worse(again(), {each.name: recorded[each.name] for each in found})
    return found
