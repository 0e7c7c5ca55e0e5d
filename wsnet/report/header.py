"""What a sweep asked, from its manifest: which table, of which axes, with which comparisons."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from wsnet.config.base import Config
from wsnet.config.compare import AfterReport, Declared
from wsnet.config.published import PublishedConfig, misnamed
from wsnet.config.report import SelectConfig, Tuned
from wsnet.report import ReportError
from wsnet.storage import Manifest

__all__ = ["Axes", "Header", "axes_as_text", "axis_text"]

Axes = Mapping[str, str | None]
"""Dotted key to the value's JSON text, which can always be compared and hashed; None where the setting does not have
the key."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What was asked.

    Attributes:
        name: the sweep's name.
        question: the question in words.
        rows: dotted keys whose values make the rows.
        columns: dotted key whose values make the columns, or None.
        metric: what the cells show, such as `test/top1_error`.
        statistic: `median`, or `mean` (with the standard deviation).
        fixed: what no axis varies, as dotted key to value; empty for sweeps of earlier versions.
        axes: dotted keys that vary, in the order of the sweep file.
        seeds: number of seeds of a setting.
        column_values: JSON text of every value on the column axis, in the order of the sweep file.
        evaluation_statistics: which statistics the norms that keep a running mean and variance are evaluated with;
            None if there are no such norms.
        learning_rate: how the learning rate follows the batch size; None if the batch size does not vary.
        published: which published numbers stand beside which cells, or None.
        departures: where the command line departed from the recipe of these numbers, in words.
        select: what is chosen for each cell, or None.
        settings: number of settings of the sweep, including those that have not started, without those that `where`
            leaves out; None without `select`.
        tuned: how a first stage chose the setting of each cell; None if there was none.
        fixed_apart: where several sweeps are shown, what only some of them fix, or to other values, by sweep.
        revision: source revision that the sweep was last started with; None if unknown.
        is_foreign: whether wsnet has not made the runs.
        devices: what the trials were trained on, where the table shows times.
        compared_elsewhere: number of declared comparisons that are about another table than this one.
        trials: number of trials of the sweep, counted in the same way; None if unknown.
        at: which epoch of a trial counts, in words.
        where: conditions that the trials fulfil, in words, where only some are shown.
        compare: the comparisons that were declared, or None.
        declared_metric: the sweep's own metric, which these are about; `metric` may be another one.
        after_report: how the sweep departs from what its first report showed; None if it does not.
        is_smoke: whether it is a smoke run, whose values mean nothing.
        test_images: number of images that the test metrics are measured on; None if unknown, or if settings differ.
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
    departures: tuple[str, ...] = ()
    select: SelectConfig | None = None
    settings: int | None = None
    tuned: Tuned | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    fixed_apart: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    revision: str | None = None
    is_foreign: bool = False
    devices: tuple[str, ...] = ()
    compared_elsewhere: int = 0
    trials: int | None = None
    at: str = "the last epoch"
    where: tuple[str, ...] = ()
    compare: Declared | None = None
    declared_metric: str | None = None
    after_report: AfterReport | None = None
    is_smoke: bool = False
    test_images: int | None = None

    @property
    def without_comparisons(self) -> "Header":
        """For a table with other cells than those that the declared comparisons are about."""
        count = 0 if self.compare is None else self.compare.count
        return replace(self, compare=None, compared_elsewhere=self.compared_elsewhere + count)

    @property
    def over(self) -> tuple[str, ...]:
        """The keys that were chosen over, here or in a first stage."""
        return self.select.over if self.select is not None else self.tuned.over if self.tuned is not None else ()

    @classmethod
    def of(cls, manifest: Manifest) -> "Header":
        """From a sweep's manifest.

        Raises:
            ReportError: the manifest's `published`, `select`, `tuned`, `compare` or `after_report` is invalid.
        """
        report, axes = manifest.report, manifest.axes
        columns, rows = report.get("columns"), report.get("rows")
        select, settings = _select(manifest.name, report.get("select"))
        tuned = _entry(Tuned, manifest, "tuned")
        over = (*(() if select is None else select.over), *(() if tuned is None else tuned.over))
        apart = [axis for axis in axes if axis != columns and axis not in over]
        return cls(
            name=manifest.name,
            question=manifest.question,
            rows=tuple(apart if rows is None else rows),
            columns=columns,
            metric=report["metric"],
            statistic=report.get("statistic", "median"),
            axes=tuple(axes),
            seeds=manifest.seeds,
            column_values=tuple(map(axis_text, manifest.column_values)),
            learning_rate=report.get("learning_rate"),
            evaluation_statistics=report.get("evaluation_statistics"),
            published=_published(manifest.name, report.get("published")),
            departures=tuple(report.get("departures", ())),
            select=select,
            settings=settings,
            tuned=tuned,
            fixed=report.get("fixed", {}),
            revision=report.get("revision"),
            trials=report.get("trials"),
            compare=_entry(Declared, manifest, "compare"),
            declared_metric=report["metric"],
            after_report=_entry(AfterReport, manifest, "after_report"),
            is_smoke=report.get("is_smoke", False),
            test_images=report.get("test_images"),
        )


def axes_as_text(values: Mapping[str, Any], axes: Sequence[str]) -> Axes:
    """Every axis with the JSON text of its value in `values`, or None if it has none there."""
    return {axis: axis_text(values[axis]) if axis in values else None for axis in axes}


def axis_text(value: Any) -> str:
    """JSON text of a value on an axis."""
    return json.dumps(value, ensure_ascii=False)


def _published(name: str, link: Any) -> PublishedConfig | None:
    if link is None:
        return None
    try:
        found = PublishedConfig.model_validate(link)
    except ValidationError as error:
        raise ReportError(f"sweep {name!r}: report.published cannot be read: {error.errors()[0]['msg']}") from None
    for (section, column), text in misnamed(found):
        raise ReportError(f"sweep {name!r}: report.published.{section}.{column}: {text}")
    return found


def _select(name: str, select: Any) -> tuple[SelectConfig | None, int | None]:
    """What is chosen for each cell, and how many settings the sweep has; None and None if it does not choose."""
    if select is None:
        return None, None
    try:
        found = SelectConfig.model_validate({key: value for key, value in select.items() if key != "settings"})
    except ValidationError as error:
        raise ReportError(f"sweep {name!r}: report.select cannot be read: {error.errors()[0]['msg']}") from None
    return found, select.get("settings")


_Entry = TypeVar("_Entry", bound=Config)


def _entry(model: type[_Entry], manifest: Manifest, key: str) -> _Entry | None:
    """An entry of a manifest's `report`; None where it has none."""
    entry = manifest.report.get(key)
    try:
        return None if entry is None else model.model_validate(entry)
    except ValidationError as error:
        text = f"sweep {manifest.name!r}: report.{key} cannot be read: {error.errors()[0]['msg']}"
        raise ReportError(text) from None
