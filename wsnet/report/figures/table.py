"""What every figure of a table needs: the rows' names and each cell's seeds, one by one."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, median

from wsnet.report.names import axis_name, metric_name, setting_names, value_name
from wsnet.report.results import Results
from wsnet.report.tables.pivot import SETTING, Cell, Label, Pivot, cell_key
from wsnet.storage.seeds import Summary, higher_is_better, value_of

__all__ = ["Facts", "Table", "numbers"]

Facts = Mapping[str, Mapping[str, float]]
"""By setting: quantities beside the metric, such as `parameters` and `training_seconds`."""


@dataclass(frozen=True)
class Table:
    """A table that is drawn.

    Attributes:
        results: the sweep's results.
        pivot: their cells.
        facts: further quantities of the settings.
        title: whether a figure says what it shows, for use without a caption.
        width: of a figure, in inches.
    """

    results: Results
    pivot: Pivot
    facts: Facts = field(default_factory=dict)
    title: bool = False
    width: float = 6.75

    @property
    def metric(self) -> str:
        """What is shown."""
        return self.results.header.metric

    @property
    def metric_name(self) -> str:
        """Its name in words."""
        return metric_name(self.metric)

    @property
    def columns_name(self) -> str:
        """The name of the column axis."""
        return axis_name(self.results.header.columns or "")

    @property
    def worst_is_high(self) -> bool:
        """Whether diverged seeds lie above all others."""
        return not higher_is_better(self.metric)

    @cached_property
    def names(self) -> dict[Label, str]:
        """The rows' names, all distinct."""
        return setting_names(self.pivot.rows, self.pivot.row_keys)

    @cached_property
    def cell_names(self) -> dict[tuple[Label, str | None], str]:
        """The names of single cells: of row and column."""
        columns = self.results.header.columns
        if columns is None:
            return {(row, None): name for row, name in self.names.items()}
        labels = {position: (*position[0], position[1]) for position in self.pivot.cells}
        names = setting_names(labels.values(), (*self.pivot.row_keys, columns))
        return {position: names[label] for position, label in labels.items()}

    def column_name(self, column: str | None) -> str:
        """A value of the column axis."""
        return value_name(self.results.header.columns or "", column)

    @cached_property
    def seeds(self) -> dict[tuple[Label, str | None], list[float]]:
        """The values of each cell's seeds, infinite for a diverged one, by seed; only cells that have any."""
        columns, keys = self.results.header.columns, self.pivot.row_keys
        found: dict[tuple[Label, str | None], dict[str, tuple[int, float]]] = {}
        for trial in self.results.trials:
            position = cell_key(trial, keys, columns)
            cell = self.pivot.cells.get(position)
            value = value_of(trial.status, trial.measured(self.metric), self.metric)
            if cell is not None and value is not None and trial.setting_id == cell.setting_id:
                found.setdefault(position, {})[trial.trial_id] = (trial.seed, value)
        return {position: [value for _, value in sorted(seeds.values())] for position, seeds in found.items()}

    def middle(self, seeds: Summary | list[float]) -> float:
        """The median or the mean of a cell's seeds, whichever the table shows; infinite if diverged seeds decide it."""
        statistic = self.results.header.statistic
        if isinstance(seeds, Summary):
            return seeds.middle(statistic)
        return fmean(seeds) if statistic == "mean" else median(seeds)

    def finite(self) -> list[float]:
        """Every finite value that is drawn, published numbers too."""
        values = [value for seeds in self.seeds.values() for value in seeds if math.isfinite(value)]
        return values + [number.value for number in self.pivot.published]

    @property
    def has_diverged(self) -> bool:
        """Whether any seed has."""
        return any(math.isinf(value) for seeds in self.seeds.values() for value in seeds)

    def cell(self, row: Label, column: str | None) -> Cell | None:
        """A cell, or None where there is no trial."""
        return self.pivot.cells.get((row, column))

    @property
    def note(self) -> str:
        """What a caption has to say of the figure: seeds, published numbers, what was chosen."""
        header = self.results.header
        parts = [header.name]
        if header.seeds > 1:
            parts.append(f"{header.statistic} of {header.seeds} seeds and every seed")
        if self.pivot.published:
            parts.append("published numbers")
        if header.over:
            parts.append(f"{', '.join(map(axis_name, header.over))} chosen on validation")
        return "; ".join(parts)


def numbers(key: str, values: Sequence[str | None]) -> list[float] | None:
    """The values of an axis, if all of them are numbers; otherwise None."""
    if key == SETTING or any(value is None for value in values):
        return None
    plain = [json.loads(str(value)) for value in values]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in plain):
        return None
    return [float(value) for value in plain]
