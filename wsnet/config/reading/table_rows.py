"""The rows and columns that a sweep's table will have, known before anything is trained."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wsnet.config.identity import canonical_text
from wsnet.config.reading.axes import hashable
from wsnet.config.reading.checked_sweep import Setting
from wsnet.config.report import NO_COLUMNS
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = ["ABSENT", "Row", "as_text", "columns_of", "defaults_of", "equal", "rows_of_table"]

ABSENT = object()
"""The value of a key that a row does not have."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        label: its value of each key that tells rows apart, as JSON text; None where it does not have the key.
        first: the first of its settings.
        axes: that setting's axes in this row.
        settings: by column, as JSON text, the identities of the row's settings.
    """

    label: tuple[str | None, ...]
    first: Setting
    axes: Mapping[str, Any]
    settings: dict[str | None, set[str]]

    def value(self, key: str) -> Any:
        """The row's value of a key: as a case or a grid sets it, else as its trials have it; `ABSENT` if they do not.

        So a row can be told by a default, such as `train.evaluation_statistics.name: running`.
        """
        if key in self.axes:
            return self.axes[key]
        value: Any = self._options
        for part in key.split("."):
            value = value.get(part, ABSENT) if isinstance(value, dict) else ABSENT
        return value

    @cached_property
    def _options(self) -> dict[str, Any]:
        return self.first.config.model_dump(mode="json")

    def fits(self, wanted: Mapping[str, Any]) -> bool:
        """Whether the row has all of these values."""
        return all(equal(self.value(key), value) for key, value in wanted.items())


def columns_of(config: SweepConfig, axes: Iterable[str]) -> str | None:
    """The key whose values make the columns of a sweep's table; None if there are none."""
    if config.report.columns == NO_COLUMNS:
        return None
    over = () if config.report.select is None else config.report.select.over
    varied = set(axes)
    grid = [key for key in config.grid if key in varied and key not in over]
    return config.report.columns or (grid[-1] if grid else None)


def rows_of_table(settings: Iterable[Setting], keys: Sequence[str], columns: str | None) -> list[Row]:
    """The rows of the table, as far as the axes tell them apart.

    A setting whose case does not set the columns' key stands in the column of its default, as in the report.
    """
    rows: dict[tuple[str | None, ...], Row] = {}
    for setting in settings:
        default = {} if columns is None else defaults_of(setting.config, [columns])
        for place in setting.places:
            label = tuple(as_text(place[key]) if key in place else None for key in keys)
            row = rows.setdefault(label, Row(label=label, first=setting, axes=place, settings={}))
            shown = default | place
            column = as_text(shown[columns]) if columns in shown else None
            row.settings.setdefault(column, set()).add(canonical_text(setting.config))
    return list(rows.values())


def defaults_of(config: TrialConfig, axes: Iterable[str]) -> dict[str, Any]:
    """The values of axes that a case leaves at their defaults, without those that have no effect in it."""
    axes, found = list(axes), {}
    tree = config.model_dump(mode="json") if axes else {}
    for axis in axes:
        value: Any = tree
        for part in axis.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        is_moot = axis.startswith("train.evaluation_statistics") and not config.model.norm.keeps_statistics
        if value is not None and not isinstance(value, dict) and not is_moot:
            found[axis] = value
    return found


def equal(one: Any, other: Any) -> bool:
    """Whether two values of a key are the same; an absent one equals none."""
    return bool(one is not ABSENT and other is not ABSENT and hashable(one) == hashable(other))


def as_text(value: Any) -> str:
    """A value as JSON text, which can always be compared and hashed."""
    return json.dumps(value, ensure_ascii=False)
