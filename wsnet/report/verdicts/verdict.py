"""The verdict on one declared comparison, as data."""

from dataclasses import dataclass
from typing import Literal

from wsnet.config.compare import ALPHA
from wsnet.report.tables.pivot import Label
from wsnet.report.verdicts.intervals import Interval

__all__ = ["Mark", "Verdict"]

Mark = Literal["added seeds", "compare changed", "other metric", "selected", "diverged", "incomplete", "missing"]
"""`added seeds`: seeds were added to the sweep, or taken out, after a first report. `compare changed`: so were the
comparisons, or the metric that they are about. `other metric`: the table shows one that nothing was declared about.
`selected`: the table shows the metric that its settings were chosen by. `diverged`: a seed did. `incomplete`: seeds are
missing. `missing`: one of the two has no value."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One declared comparison: a setting with the baseline, in one column.

    Attributes:
        row: the setting's row.
        against: the baseline's row.
        column: of both, as JSON text; None where there are no columns.
        values: of the setting's seeds, infinite for diverged ones.
        baseline: of the baseline's seeds.
        difference: improvement over the baseline, in units of the metric: positive where the setting is better,
            whether the metric is an error or an accuracy. None if either has no value, or for one seed against one.
        p: of the exact two-sided rank-sum test; None if it was not tested (see `marks` and `is_pending`).
        adjusted: p after Holm's correction over the family.
        improvement: estimated probability that a run of the setting is better than one of the baseline.
        beat_median: how many of the setting's seeds are better than the baseline's median.
        beat_all: how many are better than all of the baseline's seeds.
        marks: what restricts the comparison.
        is_pending: whether seeds of either are still to be trained, or were stopped early: there is no p-value then,
            since one that is looked at again and again until it is small means nothing.
        seeds_needed: estimated number of seeds of each that would settle an open comparison; None if it is not open,
            or if it would take too many (see `seeds_needed.seeds_needed`).
        text: the verdict in plain language, one sentence.
    """

    row: Label
    against: Label
    column: str | None
    values: tuple[float, ...]
    baseline: tuple[float, ...]
    difference: Interval | None
    p: float | None
    adjusted: float | None
    improvement: float | None
    beat_median: int
    beat_all: int
    marks: tuple[Mark, ...]
    is_pending: bool
    seeds_needed: int | None
    text: str = ""

    @property
    def outcome(self) -> Literal["better", "worse", "open", "untested"]:
        """Whether the setting is better than the baseline or worse, or whether that is open, or was not tested."""
        if self.adjusted is None or self.improvement is None:
            return "untested"
        if self.adjusted > ALPHA:
            return "open"
        return "better" if self.improvement > 0.5 else "worse"
