"""`analyze.py curves DIR...`: learning curves of any logs in one figure."""

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnet.config.errors import did_you_mean
from wsnet.report import ReportError
from wsnet.report.curves import Curve, SeedCurve, median_curve, read_curves, read_seed
from wsnet.report.figures.curves import NamedCurve
from wsnet.report.header import axes_as_text
from wsnet.report.layers import trials_in
from wsnet.report.names import setting_names
from wsnet.storage import Folder, Manifest

__all__ = ["MOST_CURVES", "curves_from_logs", "draw_curves"]

MOST_CURVES = 24
"""Maximum number of curves in one figure."""

_FORMATS = (".png", ".svg", ".pdf")


def draw_curves(
    paths: Sequence[str | os.PathLike[str]],
    metric: str,
    out: str | os.PathLike[str],
    *,
    width: float = 6.75,
) -> str:
    """Draw the curves of logs into one figure.

    Args:
        paths: see `curves_from_logs`.
        metric: such as `test/top1_error`.
        out: the file to write; its ending, .png, .svg or .pdf, is its format.
        width: of the figure, in inches.

    Returns:
        where the file was written.

    Raises:
        ReportError: see `curves_from_logs`; or `out` has another ending.
    """
    from wsnet.report.figures import render
    from wsnet.report.figures.curves import draw_overlay
    from wsnet.report.figures.style import styled

    path = Path(out)
    if path.suffix not in _FORMATS:
        raise ReportError(f"the figure's file must end in {', '.join(_FORMATS)}, but got {str(out)!r}")
    curves = curves_from_logs(paths, metric)
    with styled():
        figure = draw_overlay(curves, metric, width=width)
    Folder(path.parent).write(path.name, render(figure, path.suffix.removeprefix(".")))  # type: ignore[arg-type]
    return str(path)


def curves_from_logs(paths: Sequence[str | os.PathLike[str]], metric: str) -> list[NamedCurve]:
    """The curves of one metric in any logs.

    Args:
        paths: each one a sweep's folder (one curve per setting: the median over its seeds), a trial's directory, of a
            sweep or of `python -m wsnet.training`, a folder of such directories, or a CSV file with a column `epoch`
            and one named like the metric.
        metric: such as `test/top1_error`.

    Returns:
        at least one curve, with distinct names, in the order of the paths.

    Raises:
        ReportError: a path holds no log, a log does not have the metric, or there are more than 24 curves.
    """
    if not paths:
        raise ReportError("give at least one log: a sweep's folder, a trial's directory or a CSV file")
    found = [curve for path in dict.fromkeys(str(path) for path in paths) for curve in _curves(path, metric)]
    if len(found) > MOST_CURVES:
        raise ReportError(
            f"{len(found)} curves cannot be told apart in one figure; give trials' directories, or sweeps with at most "
            f"{MOST_CURVES} settings together"
        )
    names = [curve.name for curve in found]
    places = [curve.place for curve in found]
    return [NamedCurve(_distinct(index, names, places), curve.curve) for index, curve in enumerate(found)]


@dataclass(frozen=True)
class _Found:
    """A curve, and the place that it was read from."""

    place: str
    name: str
    curve: Curve


def _curves(path: str, metric: str) -> list[_Found]:
    if path.lower().endswith(".csv"):
        return [_found(path, Path(path).stem, [_read_csv(path, metric)], metric)]
    folder = Folder(path)
    if folder.exists("sweep.json"):
        return _of_sweep(path, folder, metric)
    trials = trials_in(folder)
    if not trials:
        what = "it holds neither sweep.json nor records.jsonl" if folder.names() else "it is absent or empty"
        raise ReportError(f"no log in {path!r}: {what}; give a sweep's folder, a trial's directory or a CSV file")
    return [_of_trial(trial, metric) for trial in trials]


def _of_sweep(path: str, folder: Folder, metric: str) -> list[_Found]:
    manifest = Manifest.read(folder)
    curves = read_curves(folder, manifest.trials, [metric])
    labels = {
        entry.setting_id: tuple(axes_as_text(entry.axes, manifest.axes).values())
        for entry in manifest.trials
        if entry.setting_id in curves.by_setting
    }
    names = setting_names(labels.values(), manifest.axes)
    by_setting = curves.by_setting
    return [_Found(manifest.name, names[label], by_setting[setting][metric]) for setting, label in labels.items()]


def _of_trial(trial: Folder, metric: str) -> _Found:
    name = trial.location.rstrip("/").rpartition("/")[2]
    seed = read_seed(trial.read("records.jsonl") or b"")
    if seed is None:
        raise ReportError(f"{trial.location}/records.jsonl has no whole epoch, or is damaged")
    return _found(trial.location, name, [seed], metric)


def _found(place: str, name: str, seeds: list[SeedCurve], metric: str) -> _Found:
    curve = median_curve(seeds, metric)
    if curve is None:
        known = sorted({name for seed in seeds for name in seed.values})
        hint = did_you_mean(metric, known, otherwise="")
        raise ReportError(f"{place!r} has no values of {metric!r}{hint}; there are: {', '.join(known) or 'none'}")
    return _Found(place, name, curve)


def _read_csv(path: str, metric: str) -> SeedCurve:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReportError(f"{path!r} cannot be read as CSV: {error}") from None
    columns = list(rows[0]) if rows else []
    if "epoch" not in columns:
        there = ", ".join(map(str, columns)) or "none"
        raise ReportError(f"{path!r} must have a column 'epoch' and at least one row; its columns are: {there}")
    values: dict[str, list[float]] = {name: [] for name in columns if name}
    for number, row in enumerate(rows, start=2):
        for name, column in values.items():
            column.append(_number(row[name], f"{path}:{number}", name, needed=name in ("epoch", metric)))
    epochs = np.array(values.pop("epoch"))
    whole = np.isfinite(epochs) & (epochs == np.floor(epochs)) & (epochs >= 1)
    if not whole.all() or (np.diff(epochs) <= 0).any():
        raise ReportError(f"{path!r}: epochs must be whole numbers from 1 that rise from row to row")
    arrays = {name: np.array(column) for name, column in values.items()}
    return SeedCurve(epochs=epochs, values={name: each for name, each in arrays.items() if np.isfinite(each).any()})


def _number(text: str | None, place: str, column: str, *, needed: bool) -> float:
    """A field's number; NaN where it is empty, or not a number in a column that is not drawn."""
    if not (text or "").strip():
        return math.nan
    try:
        return float(str(text))
    except ValueError:
        if needed:
            raise ReportError(f"{place}: column {column!r} must hold numbers, but got {text!r}") from None
        return math.nan


def _distinct(index: int, names: Sequence[str], places: Sequence[str]) -> str:
    """A curve's name, with its place where another curve has the same name, and its number where that is not enough."""
    name = names[index]
    same = [other for other, each in enumerate(names) if each == name]
    if len(same) == 1:
        return name
    place = f"{name} ({places[index]})" if name != "all" else places[index]
    again = sum(places[other] == places[index] for other in same) > 1
    return f"{place}, {same.index(index) + 1}" if again else place
