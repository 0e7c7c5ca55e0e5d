"""Sweeps side by side: each is a column, each setting a row."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wsnet.report import ReportError
from wsnet.report.header import Axes, Header, axis_text
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.sources.trial_options import trial_options

__all__ = ["SWEEP", "side_by_side"]

SWEEP = "sweep"
"""The column axis of sweeps laid side by side."""


def side_by_side(sweeps: Mapping[str, Results]) -> Results:
    """One table of several sweeps.

    Settings of equal axes share a row; an axis that one sweep varies has in another the value that it is fixed to, or
    its default. If all sweeps choose in the same way, so does the table, for each sweep on its own.

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
    fixed = dict.fromkeys(key for header in headers.values() for key in header.fixed)
    keys = list(dict.fromkeys((*axes, *fixed)))
    silent = {
        place: trial_options(
            place, results, [k for k in keys if k not in (*results.header.axes, *results.header.fixed)]
        )
        for place, results in sweeps.items()
    }
    trials = tuple(
        _in_column(trial, names[place], axes, results.header.fixed, silent[place].get(trial.setting_id, {}))
        for place, results in sweeps.items()
        for trial in results.trials
    )
    shared, apart = _fixed({names[place]: _all_fixed(headers[place], silent[place]) for place in sweeps}, axes)
    is_chosen = all(header.select == first.select for header in headers.values())
    counts = [header.settings for header in headers.values()]
    rows = tuple(dict.fromkeys((*first.rows, *(() if first.columns is None else (first.columns,)))))
    over = first.over if is_chosen else ()
    header = replace(
        first.without_comparisons,
        name=" and ".join(names.values()),
        question=f"{first.question or first.name} ({', '.join(names.values())})",
        rows=(*rows, *_mixed(trials, rows, [axis for axis in axes if axis not in (*rows, *over)])),
        columns=SWEEP,
        axes=(*axes, SWEEP),
        seeds=max(header.seeds for header in headers.values()),
        column_values=tuple(axis_text(name) for name in names.values()),
        fixed=shared,
        fixed_apart=apart,
        select=first.select if is_chosen else None,
        settings=sum(count or 0 for count in counts) if is_chosen and None not in counts else None,
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


def _mixed(trials: Iterable[PlacedTrial], rows: Sequence[str], axes: Iterable[str]) -> list[str]:
    """The axes in which settings differ that would share a row, be it in different sweeps.

    An axis that a run of another tool does not have is unknown there, which tells no rows apart.
    """
    groups: dict[tuple[str | None, ...], list[PlacedTrial]] = {}
    for trial in trials:
        groups.setdefault(tuple(trial.shown(key) for key in rows), []).append(trial)

    def differs(axis: str, group: list[PlacedTrial]) -> bool:
        return len({trial.shown(axis) for trial in group} - {None}) > 1

    return [axis for axis in axes if any(differs(axis, group) for group in groups.values())]


def _all_fixed(header: Header, silent: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a sweep fixes, and the defaults that all of its settings share; empty if it does not say what it fixes."""
    if not header.fixed or not silent:
        return dict(header.fixed)
    first, *others = silent.values()
    return {**header.fixed, **{k: v for k, v in first.items() if all(other.get(k) == v for other in others)}}


def _fixed(
    sweeps: Mapping[str, Mapping[str, Any]], axes: Collection[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What all sweeps fix to the same value; and by sweep, what they fix to different values."""
    if not all(sweeps.values()):  # One that does not say what it fixes, such as a CSV file.
        return {}, {}
    keys = [key for key in dict.fromkeys(key for fixed in sweeps.values() for key in fixed) if key not in axes]
    same = {key for key in keys if len({json.dumps(fixed.get(key)) for fixed in sweeps.values()}) == 1}
    first = next(iter(sweeps.values()))
    apart = {name: {k: fixed[k] for k in keys if k in fixed and k not in same} for name, fixed in sweeps.items()}
    return {key: first[key] for key in keys if key in same}, apart


def _in_column(
    trial: PlacedTrial, name: str, axes: tuple[str, ...], fixed: Mapping[str, object], silent: Mapping[str, object]
) -> PlacedTrial:
    there: Axes = {axis: axis_text(fixed[axis]) for axis in axes if axis not in trial.axes and axis in fixed}
    of_sweep = {axis: trial.axes.get(axis, there.get(axis)) for axis in axes}
    defaults = {axis: axis_text(silent[axis]) for axis in axes if axis in silent and of_sweep[axis] is None}
    return replace(
        trial,
        # One trial can be in both sweeps: in each it counts as that sweep's own.
        trial_id=f"{name}:{trial.trial_id}",
        setting_id=f"{name}:{trial.setting_id}",
        axes={**of_sweep, SWEEP: json.dumps(name, ensure_ascii=False)},
        defaults={**trial.defaults, **defaults},
    )
