"""Conditions on trials, such as `train.batch_size>=8` or `model.norm.name=group`."""

import json
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wsnet.config.errors import did_you_mean
from wsnet.report import ReportError
from wsnet.report.results import PlacedTrial

__all__ = ["Condition", "read_condition"]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_SYNTAX = re.compile(r"\s*([\w.]+)\s*(>=|<=|!=|==|=|>|<)\s*(.*\S)\s*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What trials must fulfil.

    Attributes:
        axis: dotted key.
        operator: one of `=`, `!=`, `<`, `<=`, `>`, `>=`.
        value: what the axis is compared with.
    """

    axis: str
    operator: str
    value: Any

    def holds(self, trial: PlacedTrial) -> bool:
        """Whether a trial fulfils it; one without the axis fulfils only `!=`."""
        text = trial.shown(self.axis)
        value = None if text is None else json.loads(text)
        if self.operator in ("=", "!="):
            return _OPERATORS[self.operator](value, self.value)
        both = (value, self.value)
        return all(map(_is_number, both)) and _OPERATORS[self.operator](*both)

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return f"{self.axis} {self.operator} {value}"


def read_condition(text: str, axes: Sequence[str]) -> Condition:
    """Read a condition.

    Args:
        text: `AXIS OPERATOR VALUE`; the value is JSON, or plain text.
        axes: the sweep's axes.

    Raises:
        ReportError: it is no condition, names no axis, or orders what is not a number.
    """
    found = _SYNTAX.fullmatch(text)
    if found is None:
        raise ReportError(f"--where must be like train.batch_size>=8 or model.norm.name=group, but got {text!r}")
    axis, sign, written = found[1], found[2].replace("==", "="), found[3]
    if axis not in axes:
        raise ReportError(f"--where must name an axis of the sweep, but got {axis!r}{did_you_mean(axis, axes)}")
    try:
        value = json.loads(written)
    except ValueError:
        value = written
    if sign not in ("=", "!=") and not _is_number(value):
        raise ReportError(f"--where: {sign} compares numbers, but got {written!r}; use = or != for words")
    return Condition(axis=axis, operator=sign, value=value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
