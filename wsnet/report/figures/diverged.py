"""The strip beyond the worst measured value, in which diverged seeds are marked."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Strip"]


class Strip:
    """The limits of a metric's axis, with a strip for diverged seeds if there are any.

    Args:
        values: every finite value that is drawn.
        used: whether any seed has diverged.
        worst_is_high: whether the strip is at the axis' upper end.
        log: whether the axis is logarithmic.
    """

    def __init__(self, values: Sequence[float], *, used: bool, worst_is_high: bool, log: bool = False) -> None:
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        self.used, self.log = used, log
        low, high = (math.log10(min(finite)), math.log10(max(finite))) if log else (min(finite), max(finite))
        margin = 0.06 * (high - low or abs(high) or 1.0)
        self._inner = (low - margin, high + margin)
        self._sign = 1 if worst_is_high else -1
        edge = self._inner[1] if worst_is_high else self._inner[0]
        self._edge, self._place, self._end = (edge + self._sign * margin * times for times in (0.0, 1.2, 2.4))

    @property
    def place(self) -> float:
        """Where a diverged seed is drawn."""
        return self._value(self._place)

    @property
    def limits(self) -> tuple[float, float]:
        """The part of the axis that is not the strip."""
        return self._value(self._inner[0]), self._value(self._inner[1])

    def within(self, value: float) -> float:
        """A value, or the place of one that has diverged."""
        return value if math.isfinite(value) else self.place

    def finish(self, axes: "Axes", which: Literal["x", "y"] = "y") -> None:
        """Set the limits of an axis, and label the strip if it is used."""
        axis, set_limits = (axes.xaxis, axes.set_xlim) if which == "x" else (axes.yaxis, axes.set_ylim)
        low, high = self._inner
        if not self.used:
            set_limits(self._value(low), self._value(high))
            return
        set_limits(self._value(low), self._value(high))  # For ticks of the measured values alone.
        ticks = [tick for tick in axis.get_majorticklocs() if self._value(low) <= tick <= self._value(high)]
        labels = axis.get_major_formatter().format_ticks(ticks)
        ends = sorted([self._value(self._end), self._value(low if self._sign > 0 else high)])
        set_limits(*ends)
        beyond = sorted([self._value(self._edge), self._value(self._end)])
        (axes.axvspan if which == "x" else axes.axhspan)(*beyond, color="#f1f1f1", linewidth=0, zorder=0)
        if which == "x":
            axes.set_xticks(ticks, labels)
            axes.annotate(
                "diverged",
                (self.place, 1),
                (0, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=7,
                color="#555555",
                gid="head",
            )
        else:
            axes.set_yticks([*ticks, self.place], [*labels, "diverged"])

    def _value(self, position: float) -> float:
        return 10**position if self.log else position
