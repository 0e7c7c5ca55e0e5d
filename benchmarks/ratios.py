"""How a benchmark reports its ratios, so that `python -m benchmarks` can collect them."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["FILE", "Ratio", "ratio", "read_ratios"]

FILE = "WSNET_RATIOS"
"""Environment variable: a file to which each ratio is appended as a line of JSON."""


@dataclass(frozen=True)
class Ratio:
    """A measured ratio.

    Attributes:
        name: what is divided by what, unique within its benchmark.
        value: the ratio.
        higher_is_better: whether a larger value is the better one.
    """

    name: str
    value: float
    higher_is_better: bool


def ratio(name: str, value: float, *, higher_is_better: bool) -> None:
    """Report a ratio. A benchmark prints it itself, with whatever else its reader needs.

    Args:
        name: what is divided by what, unique within the benchmark.
        value: the ratio.
        higher_is_better: whether a larger value is the better one.
    """
    if file := os.environ.get(FILE):
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(Ratio(name, float(value), higher_is_better))) + "\n")


def read_ratios(file: Path) -> list[Ratio]:
    """The ratios that a benchmark has appended to a file; none if there is no file."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [Ratio(**json.loads(line)) for line in text.splitlines()]
