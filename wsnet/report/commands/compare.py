"""Sweeps side by side: each is a column, each setting a row."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace

from wsnet.report import ReportError
from wsnet.report.header import Axes, axis_text
from wsnet.report.results import PlacedTrial, Results

__all__ = ["SWEEP", "side_by_side"]

SWEEP = "sweep"
"""The column axis of sweeps laid side by side."""


def side_by_side(sweeps: Mapping[str, Results]) -> Results:
    """One table of several sweeps.

    Settings of equal axes share a row; an axis that one sweep varies has in another the value that it is fixed to.

    Args:
        sweeps: by place, in the order of the columns.

    Raises:
        ReportError: their metrics differ, or they share no axis.
    """
    headers = {place: results.header for place, results in sweeps.items()}
    first = next(iter(headers.values()))
    for place, header in headers.items():
        if header.metric != first.metric:
            rule = "sweeps to compare must report the same metric"
            raise ReportError(f"{rule}, but {place} reports {header.metric!r}, not {first.metric!r}; give --metric")
    axes = tuple(dict.fromkeys(axis for header in headers.values() for axis in header.axes))
    if not any(all(axis in {**dict.fromkeys(h.axes), **h.fixed} for h in headers.values()) for axis in axes):
        listed = "; ".join(f"{place} ({', '.join(header.axes)})" for place, header in headers.items())
        raise ReportError(f"sweeps to compare must share an axis, but there is none in all of: {listed}")
    names = _names(list(sweeps))
    first = next((header for header in headers.values() if header.columns is not None), first)
    trials = tuple(
        _in_column(trial, names[place], axes, results.header.fixed)
        for place, results in sweeps.items()
        for trial in results.trials
    )
    header = replace(
        first.without_comparisons,
        name=" and ".join(names.values()),
        question=f"{first.question or first.name} ({', '.join(names.values())})",
        rows=tuple(dict.fromkeys((*first.rows, *(() if first.columns is None else (first.columns,))))),
        columns=SWEEP,
        axes=(*axes, SWEEP),
        seeds=max(header.seeds for header in headers.values()),
        column_values=tuple(axis_text(name) for name in names.values()),
        fixed={k: v for k, v in first.fixed.items() if all(h.fixed.get(k) == v for h in headers.values())},
        select=None,
        tuned=None,
        trials=None,
        learning_rate=None,
        evaluation_statistics=None,
        departures=(),
    )
    return Results(header, trials)


def _names(places: list[str]) -> dict[str, str]:
    """Short names of folders: their last parts, as many as tell them apart."""
    parts = {place: os.path.normpath(place).split(os.sep) for place in places}
    longest = max(map(len, parts.values()))
    for count in range(1, longest + 1):
        names = {place: "/".join(found[-count:]) for place, found in parts.items()}
        if len(set(names.values())) == len(places):
            return names
    return {place: place for place in places}


def _in_column(trial: PlacedTrial, name: str, axes: tuple[str, ...], fixed: Mapping[str, object]) -> PlacedTrial:
    there: Axes = {axis: axis_text(fixed[axis]) for axis in axes if axis not in trial.axes and axis in fixed}
    of_sweep = {axis: trial.axes.get(axis, there.get(axis)) for axis in axes}
    return replace(
        trial,
        # One trial can be in both sweeps: in each it counts as that sweep's own.
        trial_id=f"{name}:{trial.trial_id}",
        setting_id=f"{name}:{trial.setting_id}",
        axes={**of_sweep, SWEEP: json.dumps(name, ensure_ascii=False)},
    )
