"""`--fail-if`: rules about cells, such as `median(test/top1_error) > 8.0`, for use in continuous integration."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from wsnet.report import ReportError
from wsnet.report.results import Results
from wsnet.report.tables.pivot import pivot
from wsnet.report.tables.text import label_text

__all__ = ["Rule", "failing_cells", "read_rule"]

_SYNTAX = re.compile(r"\s*(median|mean|low|high)\s*\(\s*([\w/]+)\s*\)\s*(>=|<=|>|<)\s*([-+.\deE]+)\s*", re.ASCII)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What no cell may be.

    Attributes:
        statistic: `median`, `mean`, `low` or `high`.
        metric: such as `test/top1_error`.
        operator: one of `>`, `<`, `>=`, `<=`.
        bound: the number compared with.
    """

    statistic: str
    metric: str
    operator: str
    bound: float


def read_rule(text: str) -> Rule:
    """Read a rule.

    Raises:
        ReportError: it is none.
    """
    found = _SYNTAX.fullmatch(text)
    try:
        assert found is not None
        return Rule(statistic=found[1], metric=found[2], operator=found[3], bound=float(found[4]))
    except (AssertionError, ValueError):
        form = "STATISTIC(METRIC) OPERATOR NUMBER, such as 'median(test/top1_error) > 8.0'"
        raise ReportError(f"--fail-if must be {form}, with median, mean, low or high, but got {text!r}") from None


def failing_cells(results: Results, rule: Rule) -> list[str]:
    """A line for each cell that fulfils a rule. A diverged value is worse than any number.

    Raises:
        ReportError: no trial has the metric, or no cell has a value yet.
    """
    of_metric = results.with_metric(rule.metric)
    cells = pivot(of_metric)
    keys = (*cells.row_keys, *(() if of_metric.header.columns is None else (of_metric.header.columns,)))
    lines, found = [], False
    for (row, column), cell in cells.cells.items():
        if cell.summary is None:
            continue
        found = True
        value = float(getattr(cell.summary, rule.statistic))
        if _OPERATORS[rule.operator](value, rule.bound):
            label = label_text((*row, *((column,) if len(keys) > len(row) else ())), keys)
            lines.append(f"{value:.6g} {rule.operator} {rule.bound:g}: {rule.statistic}({rule.metric}) at {label}")
    if not found:
        raise ReportError(f"--fail-if: no cell has a value of {rule.metric} yet")
    return lines
