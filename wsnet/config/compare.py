"""`report.compare`: which settings are compared with which, declared before they are trained."""

import math
from typing import Annotated, Any

from pydantic import model_validator

from wsnet.config.base import Config, NonNegativeInt, as_tuple, conflict

__all__ = ["ALPHA", "AfterReport", "CompareConfig", "Declared", "smallest_rank_sum_p"]

ALPHA = 0.05
"""Largest p-value, after the correction for several comparisons, that decides one."""


def smallest_rank_sum_p(first: int, second: int) -> float:
    """The smallest two-sided p-value that so many values against so many can have: 2 / C(n + m, n), at most 1."""
    return min(1.0, 2 / math.comb(first + second, first))


class CompareConfig(Config):
    """The comparisons that are tested: rows of the table with one of them, the baseline, in the same column."""

    against: dict[str, Any]
    """The baseline: dotted key to value, as many as it takes to mean one row, such as model.norm.name: batch."""
    settings: Annotated[tuple[dict[str, Any], ...], as_tuple()] | None = None
    """The rows compared with it, each a mapping like `against` that may mean several (unset: every other row)."""
    at: dict[str, Annotated[tuple[Any, ...], as_tuple()]] | None = None
    """The columns' key to the list of its values at which rows are compared (unset: in every column)."""

    @model_validator(mode="after")
    def _says_what_to_compare(self) -> "CompareConfig":
        if not self.against:
            raise conflict(("needs the baseline's values, such as {model.norm.name: batch}", ("against",)))
        if self.settings is not None and not all(self.settings or ({},)):
            raise conflict(("must list rows by their values, such as [{model.norm.name: group}]", ("settings",)))
        if self.at is not None and (len(self.at) != 1 or not all(self.at.values())):
            text = "must be the columns' key with a list of its values, such as {train.batch_size: [1, 8]}"
            raise conflict((text, ("at",)))
        return self


Row = Annotated[tuple[str | None, ...], as_tuple()]
"""A row's value of each key as JSON text, which can always be compared; None where it does not have the key."""


class Declared(Config):
    """The comparisons of a sweep, row by row; what a report needs to know of them."""

    keys: Annotated[tuple[str, ...], as_tuple()]
    """Dotted keys that tell rows apart."""
    against: Row
    """The baseline."""
    settings: Annotated[tuple[Row, ...], as_tuple()] | None = None
    """The rows compared with it; None for every other row."""
    at: Row | None = None
    """Values of the columns' key, as JSON text; None for every column."""
    count: NonNegativeInt
    """How many comparisons that makes."""
    without_baseline: Row = ()
    """Values of the columns' key, as JSON text, where rows stand that are not compared, since the baseline does not."""
    written: dict[str, Any]
    """`report.compare` as the sweep file has it."""


class AfterReport(Config):
    """How a sweep departs from what a first report on it showed."""

    seeds: Annotated[tuple[int, ...], as_tuple()] = ()
    """Seeds that were added."""
    removed: Annotated[tuple[int, ...], as_tuple()] = ()
    """Seeds that were taken out."""
    compare_changed: bool = False
    """Whether the comparisons, or the metric that they are about, were declared or changed afterwards."""
