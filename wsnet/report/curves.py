"""Learning curves by setting: median and range over the seeds at every epoch, read from a sweep's folder."""

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from wsnet.report import ReportError
from wsnet.storage import DamagedFile, Folder, TrialEntry, trial_directory
from wsnet.storage.seeds import higher_is_better

__all__ = ["Curve", "Curves", "SeedCurve", "median_curve", "read_curves", "read_seed"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_TIME, _THREADS = "time/epoch_seconds", 4


@dataclass(frozen=True, kw_only=True)
class SeedCurve:
    """What one trial measured.

    Attributes:
        epochs: shape (n,), rising.
        values: by metric, shape (n,); NaN where the metric was not measured in an epoch.
        seconds: time of all its epochs; NaN if unknown.
        diverged: whether it ended by diverging.
    """

    epochs: Array
    values: Mapping[str, Array]
    seconds: float = math.nan
    diverged: bool = False


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A metric of one setting at every epoch at which it was measured.

    Attributes:
        epochs: shape (n,).
        median: over the seeds, shape (n,); infinite where it is that of a diverged seed.
        low: the lowest seed that has not diverged, shape (n,); NaN where all have.
        high: the highest seed that has not diverged, shape (n,); NaN where all have.
        seeds: number of seeds at each epoch, shape (n,), diverged ones too.
        diverged: number of seeds that have diverged, shape (n,).
    """

    epochs: Array
    median: Array
    low: Array
    high: Array
    seeds: Array
    diverged: Array

    def reversed(self) -> "Curve":
        """100 - everything: an error in percent as the accuracy."""
        return replace(self, median=100 - self.median, low=100 - self.high, high=100 - self.low)


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The learning curves of a sweep.

    Attributes:
        metrics: those that were read.
        by_setting: setting_id, then metric.
        seconds: training time of each setting, the median over its seeds, where it is known.
    """

    metrics: tuple[str, ...]
    by_setting: Mapping[str, Mapping[str, Curve]]
    seconds: Mapping[str, float] = field(default_factory=dict)

    def as_accuracies(self, metric: str) -> "Curves":
        """The curves of the error that belongs to an accuracy, as curves of the accuracy."""
        error = metric.replace("accuracy", "error")
        by_setting = {
            setting: {metric: curves[error].reversed()}
            for setting, curves in self.by_setting.items()
            if error in curves
        }
        return replace(self, metrics=(metric,), by_setting=by_setting)


def read_curves(folder: Folder, entries: Iterable[TrialEntry], metrics: Sequence[str]) -> Curves:
    """Read every epoch of a sweep's trials, one setting after the other.

    Trials that have not started or whose records cannot be read are left out. The checksums of single records are not
    compared: that would take longer than all the rest.

    Args:
        folder: the sweep's.
        entries: the manifest's trials.
        metrics: such as `test/top1_error`.

    Returns:
        the settings that have any of the metrics.

    Raises:
        ReportError: no trial has a record.
    """
    started = set((folder / "trials").names())
    settings: dict[str, list[str]] = {}
    for entry in entries:
        if entry.trial_id in started:
            settings.setdefault(entry.setting_id, []).append(entry.trial_id)
    read = _reader(metrics)

    def of_setting(trials: list[str]) -> tuple[dict[str, Curve], float]:
        seeds = [seed for trial in trials if (seed := _seed(folder, trial, read)) is not None]
        times = [seed.seconds for seed in seeds if math.isfinite(seed.seconds)]
        found = {metric: curve for metric in metrics if (curve := median_curve(seeds, metric)) is not None}
        return found, float(np.median(times)) if times else math.nan

    with ThreadPoolExecutor(_THREADS) as pool:  # Files are parsed without the interpreter's lock.
        every = dict(zip(settings, pool.map(of_setting, settings.values()), strict=True))
    by_setting = {setting: found for setting, (found, _) in every.items() if found}
    seconds = {setting: time for setting, (_, time) in every.items() if math.isfinite(time)}
    if not by_setting:
        raise ReportError(
            f"no trial in {folder.location!r} has measured any of: {', '.join(metrics)}; "
            "a curve needs at least one whole epoch"
        )
    return Curves(metrics=tuple(metrics), by_setting=by_setting, seconds=seconds)


def median_curve(seeds: Sequence[SeedCurve], metric: str) -> Curve | None:
    """Median and range over seeds of one metric, at the epochs that at least half of the seeds have reached.

    A seed that has diverged counts as the worst possible value after its last epoch, and at epochs where it measured
    something that is not finite.
    """
    measured = [(seed, seed.values[metric]) for seed in seeds if metric in seed.values]
    if not measured:
        return None
    # One epoch more than the longest seed, where seeds that have diverged still count.
    length = int(max(seed.epochs[-1] + seed.diverged for seed, _ in measured))
    worst = -math.inf if higher_is_better(metric) else math.inf
    table = np.full((len(measured), length + 1), math.nan)
    for row, (seed, values) in zip(table, measured, strict=True):
        row[seed.epochs.astype(int)] = values
        if seed.diverged:
            row[int(seed.epochs[-1]) + (1 if math.isfinite(values[-1]) else 0) :] = worst
    there = ~np.isnan(table)
    any_finite = (there & np.isfinite(table)).any(axis=0)
    epochs = np.flatnonzero((2 * there.sum(axis=0) >= len(measured)) & (any_finite | _kept(table, worst)))
    epochs = epochs[epochs > 0]
    if not len(epochs):
        return None
    shown = table[:, epochs]
    return Curve(
        epochs=epochs.astype(float),
        median=_median(shown),
        low=_finite_or_nan(np.min(np.where(np.isfinite(shown), shown, math.inf), axis=0)),
        high=_finite_or_nan(np.max(np.where(np.isfinite(shown), shown, -math.inf), axis=0)),
        seeds=there[:, epochs].sum(axis=0).astype(float),
        diverged=np.isinf(shown).sum(axis=0).astype(float),
    )


def _kept(table: Array, worst: float) -> Any:
    """Epochs at which every seed that is there has diverged: only the first of them is of interest."""
    all_worst = (np.isnan(table) | (table == worst)).all(axis=0) & (table == worst).any(axis=0)
    first = np.zeros_like(all_worst)
    if all_worst.any():
        first[int(np.argmax(all_worst))] = True
    return first


def _finite_or_nan(values: Array) -> Array:
    return np.asarray(np.where(np.isfinite(values), values, math.nan))


def _median(table: Array) -> Array:
    """Over the first axis, without NaN; as `numpy.nanmedian`, but the mean of two infinities is infinite."""
    ordered = np.sort(table, axis=0)  # NaN comes last.
    count = (~np.isnan(table)).sum(axis=0)
    columns = np.arange(table.shape[1])
    low, high = ordered[(count - 1) // 2, columns], ordered[count // 2, columns]
    return np.asarray(np.where(low == high, low, low / 2 + high / 2))


def _seed(folder: Folder, trial: str, read: Callable[[bytes], SeedCurve | None]) -> SeedCurve | None:
    directory = trial_directory(folder, trial)
    with suppress(DamagedFile):
        data = directory.folder.read("records.jsonl")
        seed = None if data is None else read(data)
        if seed is None:
            return None
        status = directory.status()
        return SeedCurve(
            epochs=seed.epochs,
            values=seed.values,
            seconds=seed.seconds,
            diverged=status is not None and status.status == "diverged",
        )
    return None


def read_seed(data: bytes, metrics: Sequence[str] | None = None) -> SeedCurve | None:
    """Read the content of a `records.jsonl`; None if it has no whole record, or cannot be read.

    Args:
        data: the file's content; what follows its last newline was left by a write that was cut off.
        metrics: those to read; None reads all of them.
    """
    return _reader(metrics)(data)


def _reader(metrics: Sequence[str] | None) -> Callable[[bytes], SeedCurve | None]:
    import pyarrow as pa
    from pyarrow import json

    options = json.ParseOptions()
    if metrics is not None:
        columns = [pa.field(name, pa.float64()) for name in dict.fromkeys(["epoch", _TIME, *metrics])]
        options = json.ParseOptions(explicit_schema=pa.schema(columns), unexpected_field_behavior="ignore")

    def read(data: bytes) -> SeedCurve | None:
        whole = data[: data.rfind(b"\n") + 1]
        if not whole:
            return None
        try:
            # In one block: otherwise the types of two blocks may differ.
            blocks = json.ReadOptions(use_threads=False, block_size=len(whole) + 1)
            table = json.read_json(io.BytesIO(whole), read_options=blocks, parse_options=options)
        except pa.ArrowInvalid:
            return None
        kinds = {field.name: field.type for field in table.schema if field.name != "crc32"}
        names = [name for name, kind in kinds.items() if pa.types.is_floating(kind) or pa.types.is_integer(kind)]
        values = {name: _array(table, name) for name in names}
        epochs = values.pop("epoch", np.empty(0))
        if not len(epochs) or not np.isfinite(epochs).all():
            return None
        seconds = float(np.nansum(values[_TIME])) if _TIME in values else math.nan
        measured = {name: each for name, each in values.items() if metrics is None or name in metrics}
        measured = {name: each for name, each in measured.items() if np.isfinite(each).any()}
        return SeedCurve(epochs=epochs, values=measured, seconds=seconds or math.nan)

    return read


def _array(table: Any, name: str) -> Array:
    """A column of numbers, NaN where it has none. pyarrow's own to_numpy would import pandas, which takes 0.4 s."""
    column = table.column(name).combine_chunks()
    valid, numbers = column.buffers()
    array = np.frombuffer(numbers, str(column.type), count=len(column)).astype(np.float64)
    if column.null_count:
        bits = np.unpackbits(np.frombuffer(valid, np.uint8), count=len(column), bitorder="little")
        array[bits == 0] = np.nan
    return array
