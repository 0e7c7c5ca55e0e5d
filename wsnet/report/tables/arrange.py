"""A table other than the sweep file's: other rows and columns, metrics, statistic, and only some trials."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from wsnet.config.errors import did_you_mean
from wsnet.report import ReportError
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.where import read_condition

__all__ = ["FACTS", "Arrangement", "arrange"]

FACTS = ("parameters", "multiply_accumulates", "training_time", "published")
"""What a table can show of a setting besides its metrics."""


_SIGNS = {">=": "-ge-", "<=": "-le-", "!=": "-ne-", "==": "-eq-", ">": "-gt-", "<": "-lt-", "=": "-eq-"}
"""In names of files."""


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """What a table shows, where it is not what the sweep file says.

    Attributes:
        rows: axes whose values make the rows; None as in the sweep file.
        columns: axis whose values make the columns, `none` for one column; None as in the sweep file.
        metrics: the first in the sweep file's place; several, or facts, make the columns.
        facts: of `FACTS`.
        statistic: `median` or `mean`; None as in the sweep file.
        where: conditions that trials must fulfil.
        accuracy: show accuracies in place of errors.
    """

    rows: tuple[str, ...] | None = None
    columns: str | None = None
    metrics: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    statistic: str | None = None
    where: tuple[str, ...] = ()
    accuracy: bool = False

    @property
    def differs_besides_metrics(self) -> bool:
        """Whether the table is another one than the sweep's own, whatever its metric."""
        return bool(self.rows or self.columns or self.facts or self.statistic or self.where or self.accuracy)

    @property
    def suffix(self) -> str:
        """What the names of this table's files carry, so that they do not replace the sweep's own; often empty."""
        parts = [*self.metrics, *self.facts, *(self.rows or ()), self.columns, self.statistic, *self.where]
        parts.append("accuracy" if self.accuracy else "")
        words = "-".join(part for part in parts if part)
        for sign, word in _SIGNS.items():
            words = words.replace(sign, word)
        return "-" + "".join(c if c.isalnum() or c in "-_." else "-" for c in words)[:100] if words else ""


def arrange(results: Results, asked: Arrangement) -> tuple[Results, tuple[str, ...]]:
    """The results as a table is to show them.

    Returns:
        the results with the metric, rows, columns and statistic asked for, of the trials asked for; and what makes the
        columns where that is not an axis: metrics, then facts.

    Raises:
        ReportError: an axis, metric, fact or condition is unknown, or no trial fulfils the conditions.
    """
    header = results.header
    if asked.columns is not None and asked.columns in (asked.rows or ()):
        raise ReportError(f"an axis makes either rows or columns, but --rows and --columns both have {asked.columns!r}")
    metrics = tuple(map(_as_accuracy, asked.metrics or (header.metric,))) if asked.accuracy else asked.metrics
    for metric in metrics:
        results = results.with_metric(metric)
    for fact in asked.facts:
        if fact not in FACTS:
            raise ReportError(f"--facts takes {', '.join(FACTS)}, but got {fact!r}{did_you_mean(fact, FACTS)}")
    for axis in (*(asked.rows or ()), *((asked.columns,) if asked.columns not in (None, "none") else ())):
        if axis not in header.axes:
            rule = "--rows and --columns take axes of the sweep"
            raise ReportError(f"{rule}, but got {axis!r}{did_you_mean(str(axis), header.axes)}")
    conditions = [read_condition(text, header.axes) for text in asked.where]
    trials = tuple(trial for trial in results.trials if all(condition.holds(trial) for condition in conditions))
    if conditions and not trials:
        raise ReportError(f"no trial has {' and '.join(map(str, conditions))}")
    quantities = (*(metrics or (header.metric,)), *asked.facts) if len(metrics) > 1 or asked.facts else ()
    columns = _columns(header.columns, asked, is_of_quantities=bool(quantities))
    rows = header.rows if asked.rows is None else asked.rows
    if header.columns is not None and columns != header.columns and asked.rows is None and header.columns not in rows:
        rows = (*(row for row in rows if row != columns), header.columns)
    header = replace(
        header,
        metric=metrics[0] if metrics else header.metric,
        rows=tuple(row for row in rows if row != columns),
        columns=columns,
        statistic=asked.statistic or header.statistic,
        where=tuple(map(str, conditions)),
        settings=None
        if header.settings is None
        else header.settings - len(_settings(results.trials) - _settings(trials)),
        trials=None if header.trials is None else header.trials - len(_trials(results.trials) - _trials(trials)),
    )
    is_own = not conditions and not quantities and (asked.rows, asked.columns) == (None, None)
    return Results(header if is_own else header.without_comparisons, trials), quantities


def _settings(trials: Iterable[PlacedTrial]) -> set[str]:
    return {trial.setting_id for trial in trials}


def _trials(trials: Iterable[PlacedTrial]) -> set[str]:
    return {trial.trial_id for trial in trials}


def _columns(own: str | None, asked: Arrangement, *, is_of_quantities: bool) -> str | None:
    if is_of_quantities:
        if asked.columns not in (None, "none"):
            raise ReportError("--columns names an axis, but several metrics or facts make the columns themselves")
        return None
    return own if asked.columns is None else None if asked.columns == "none" else asked.columns


def _as_accuracy(metric: str) -> str:
    if not metric.endswith(("error", "accuracy")):
        raise ReportError(f"--accuracy is about errors, but the metric is {metric!r}")
    return metric.replace("error", "accuracy")
