"""A sweep's outcome, wherever it was read from: what was asked, and one row for each trial that has started."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from wsnet.config.errors import did_you_mean
from wsnet.config.published import PublishedConfig, misnamed
from wsnet.config.sweep import SelectConfig
from wsnet.storage.trial_directory import LAYERS
from wsnet.tracking import tags

__all__ = ["Header", "ReportError", "Results", "Trial", "last_values"]

_FIXED = ("trial_id", "setting_id", "seed", "status", "order", "epoch")


class ReportError(ValueError):
    """A report that can not be made; the message is one line for a person."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What was asked.

    Attributes:
        name: the sweep's name.
        question: the question in words.
        rows: dotted keys whose values make the rows.
        columns: dotted key whose values make the columns, or None.
        metric: what the cells show, such as `test/top1_error`.
        statistic: `median`.
        axes: dotted keys that vary, in the order of the sweep file.
        seeds: seeds of a setting.
        column_values: JSON text of every value on the column axis, in the order of the sweep file.
        evaluation_statistics: what batch norm, its relatives and online norm are evaluated with; None without them.
        learning_rate: how it follows the batch size, or None where that does not vary.
        published: which published numbers stand beside which cells, or None.
        select: what is chosen for each cell, or None.
        settings: of the whole sweep, also those that have not started; known where there is `select`.
    """

    name: str
    question: str
    rows: tuple[str, ...]
    columns: str | None
    metric: str
    statistic: str
    axes: tuple[str, ...]
    seeds: int
    column_values: tuple[str, ...]
    learning_rate: str | None = None
    evaluation_statistics: str | None = None
    published: PublishedConfig | None = None
    select: SelectConfig | None = None
    settings: int | None = None

    @classmethod
    def from_tags(cls, name: str, tag: Mapping[str, str]) -> "Header":
        """From the tags that the experiment of a sweep has, or would have.

        Raises:
            ReportError: the published numbers that the sweep names, or its way to choose, are not known here.
        """
        report, axes = json.loads(tag[tags.REPORT]), json.loads(tag[tags.AXES])
        columns, rows = report.get("columns"), report.get("rows")
        select, settings = _select(name, report.get("select"))
        apart = [axis for axis in axes if axis != columns and (select is None or axis not in select.over)]
        return cls(
            name=name,
            question=tag.get(tags.QUESTION, ""),
            rows=tuple(apart if rows is None else rows),
            columns=columns,
            metric=report["metric"],
            statistic=report.get("statistic", "median"),
            axes=tuple(axes),
            seeds=int(tag[tags.SEEDS]),
            column_values=tuple(tags.dumps(value) for value in json.loads(tag[tags.COLUMN_VALUES])),
            learning_rate=report.get("learning_rate"),
            evaluation_statistics=report.get("evaluation_statistics"),
            published=_published(name, report.get("published")),
            select=select,
            settings=settings,
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial.

    Attributes:
        trial_id: identity of the setting with its seed.
        setting_id: identity of the setting.
        seed: the seed.
        status: of `wsnet.storage.Status`.
        order: place in the manifest.
        epoch: last whole epoch; 0 where there is none.
        places: axes (dotted key to value) of each combination that is this trial; mostly there is one.
        metrics: last-epoch metrics.
    """

    trial_id: str
    setting_id: str
    seed: int
    status: str
    order: int
    epoch: int
    places: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Results:
    """A sweep's outcome.

    Attributes:
        header: what was asked.
        trials: a row for each trial, by trial_id, or several where it is that of several combinations in the sweep (see
            `Trial.places`); columns trial_id, setting_id, seed, status, order (place in the sweep), epoch (the last),
            one per axis (JSON text; null where the trial does not have that key), and one per last-epoch metric (NaN
            where not finite, null where it was not measured).
    """

    header: Header
    trials: pa.Table

    @classmethod
    def of(cls, header: Header, trials: Iterable[Trial]) -> "Results":
        """Build the table."""
        placed = [(trial, axes) for trial in sorted(trials, key=lambda trial: trial.trial_id) for axes in trial.places]
        rows = [trial for trial, _ in placed]
        metrics = sorted({key for row in rows for key in row.metrics})
        columns: dict[str, pa.Array] = {}
        for name in _FIXED:
            kind = pa.int64() if name in ("seed", "order", "epoch") else pa.string()
            columns[name] = pa.array([getattr(row, name) for row in rows], kind)
        for axis in header.axes:
            values = [tags.dumps(axes[axis]) if axis in axes else None for _, axes in placed]
            columns[axis] = pa.array(values, pa.string())
        for metric in metrics:
            columns[metric] = pa.array([row.metrics.get(metric) for row in rows], pa.float64(), from_pandas=False)
        return cls(header, pa.table(columns))

    @property
    def metrics(self) -> list[str]:
        """Last-epoch metrics that there are."""
        names: list[str] = self.trials.column_names
        return names[len(_FIXED) + len(self.header.axes) :]

    def with_metric(self, metric: str) -> "Results":
        """The same with another metric in the cells.

        Raises:
            ReportError: no trial has it.
        """
        known = [name for name in self.metrics if "/" in name]
        if metric not in known:
            hint = did_you_mean(metric, known).rsplit("; known", 1)[0]
            there = ", ".join(known) if known else "none, since no trial has finished an epoch"
            raise ReportError(f"metric must be one that was measured, but got {metric!r}{hint}; there are: {there}")
        return replace(self, header=replace(self.header, metric=metric))


def _published(name: str, link: Any) -> PublishedConfig | None:
    if link is None:
        return None
    try:
        found = PublishedConfig.model_validate(link)
    except ValidationError as error:
        raise ReportError(f"sweep {name!r}: report.published can not be read: {error.errors()[0]['msg']}") from None
    for (section, column), text in misnamed(found):
        raise ReportError(f"sweep {name!r}: report.published.{section}.{column}: {text}")
    return found


def _select(name: str, select: Any) -> tuple[SelectConfig | None, int | None]:
    """What is chosen, and how many settings the sweep has."""
    if select is None:
        return None, None
    try:
        found = SelectConfig.model_validate({key: value for key, value in select.items() if key != "settings"})
    except ValidationError as error:
        raise ReportError(f"sweep {name!r}: report.select can not be read: {error.errors()[0]['msg']}") from None
    return found, select.get("settings")


def last_values(record: Mapping[str, float]) -> dict[str, float]:
    """What a report keeps of a trial's last record: everything but the epoch's number, the speed and the layers."""
    skip = (tags.TIME, tags.FINAL, LAYERS)
    return {key: float(value) for key, value in record.items() if key != tags.EPOCH and not key.startswith(skip)}
