"""Ranges of numbers, `{log_uniform: [0.01, 1]}`, that a search draws from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wsnet.config.reading.located import Spot

__all__ = ["RANGE_RULE", "SCALES", "Range", "whole_numbers"]

SCALES: Mapping[str, Literal["linear", "log", "one_minus_log"]] = {
    "uniform": "linear",
    "log_uniform": "log",
    "one_minus_log_uniform": "one_minus_log",
}
RANGE_RULE = (
    "must be {uniform: [low, high]}, {log_uniform: [low, high]} or {one_minus_log_uniform: [low, high]}, with "
    "low < high, low > 0 for a log scale, and high < 1 for one of 1 - x"
)


@dataclass(frozen=True)
class Range:
    """A range of numbers to draw from.

    Attributes:
        low, high: its ends.
        scale: what the draw is uniform in: the number, its logarithm, or the logarithm of 1 minus it.
        spot: where it was written.
    """

    low: float
    high: float
    scale: Literal["linear", "log", "one_minus_log"]
    spot: Spot

    def at(self, share: float) -> float:
        """The value at a fraction (0 to 1) of the range, rounded."""
        low, high = self.low, self.high
        if self.scale == "log":
            return self.rounded(low * (high / low) ** share)
        if self.scale == "one_minus_log":
            return self.rounded(1 - (1 - low) * ((1 - high) / (1 - low)) ** share)
        return self.rounded(low + share * (high - low))

    def rounded(self, value: float) -> float:
        """The value with six digits (those of 1 minus it, on that scale), for readability, and within the range."""
        digits = float(f"{value:.6g}")
        if self.scale == "one_minus_log":
            digits = float(f"{1 - float(f'{1 - value:.6g}'):.12g}")
        return min(max(digits, self.low), self.high)

    def holds(self, value: object) -> bool:
        """Whether the range has the value."""
        return type(value) in (int, float) and self.low <= value <= self.high  # type: ignore[operator]


def whole_numbers(key: str, low: float, high: float, scale: str) -> list[int]:
    """A few whole numbers from one to the other, for a key that takes no range.

    Args:
        key: the dotted key; groups are powers of two, which usually divide the channels of every layer.
        low, high: ends of the range.
        scale: what the numbers are evenly spaced in, as of `Range`.
    """
    if key == "model.norm.groups":
        return _powers_of_two(low, high)
    shares = [share / 4 for share in range(5)]
    values = [low * (high / low) ** share if scale == "log" else low + (high - low) * share for share in shares]
    return list(dict.fromkeys(map(round, values)))


def _powers_of_two(low: float, high: float) -> list[int]:
    """Those from one number to the other; if there is none, the next higher one."""
    powers = [2**power for power in range(17)]
    return [power for power in powers if low <= power <= high] or [next((p for p in powers if p >= low), powers[-1])]
