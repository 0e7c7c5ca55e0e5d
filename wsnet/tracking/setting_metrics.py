"""The metrics of a setting's run: the seeds' median, its range, and the median at every epoch. Pure functions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsnet.storage.seeds import measured, summarize, validation_of, value_of
from wsnet.storage.trial_directory import Record

__all__ = [
    "CURVE",
    "MEDIAN",
    "Seed",
    "curve",
    "curves",
    "high",
    "low",
    "median",
    "number",
    "shown_metrics",
    "summaries",
]

MEDIAN, CURVE = "median", "curve"
"""Sections of the charts: a bar for each setting's median, and a line through its medians at every epoch."""


@dataclass(frozen=True)
class Seed:
    """One trial of a setting that has ended.

    Attributes:
        status: as in `wsnet.storage.Status`.
        records: one for each epoch.
    """

    status: str
    records: Sequence[Record]


def shown_metrics(report: Mapping[str, Any]) -> tuple[str | None, str]:
    """The metric that settings are compared with on the validation split, and the one that the sweep reports.

    Args:
        report: `Manifest.report`.

    Returns:
        the two names, the first as `report.select` has it or as belongs to the second. It is None if the reported
        metric has no counterpart, such as `train/loss`, or is itself one of validation.
    """
    metric, select = str(report["metric"]), report.get("select") or {}
    deciding = select.get("by") or validation_of(metric)
    return (None if deciding == metric else deciding), metric


def median(metric: str) -> str:
    """Name of the metric that holds the seeds' median of `metric`: `median/test_top1_error`."""
    return f"{MEDIAN}/{_flat(metric)}"


def low(metric: str) -> str:
    """Name of the lowest seed's value."""
    return f"low/{_flat(metric)}"


def high(metric: str) -> str:
    """Name of the highest seed's value."""
    return f"high/{_flat(metric)}"


def number(metric: str) -> str:
    """Name of the number of seeds that count, diverged ones among them."""
    return f"n/{_flat(metric)}"


def curve(metric: str) -> str:
    """Name of the metric that holds the seeds' median at every epoch."""
    return f"{CURVE}/{_flat(metric)}"


def summaries(seeds: Iterable[Seed], metrics: Iterable[str]) -> dict[str, float]:
    """Median, lowest and highest value and number of the seeds, by the rule of the report's tables.

    Args:
        seeds: those that have ended.
        metrics: of which to give the four numbers; one that no seed counts for has only its number, 0.

    Returns:
        by name of the run's metric, rounded to 5 digits, as MLflow shows up to 17; NaN for a diverged seed's value,
        which MLflow sorts last.
    """
    seeds, found = list(seeds), {}
    for metric in metrics:
        values = [
            value
            for seed in seeds
            if (value := value_of(seed.status, measured(seed.records[-1], metric) if seed.records else None, metric))
            is not None
        ]
        summary = summarize(values)
        if summary is not None:
            found[median(metric)] = _rounded(summary.median)
            found[low(metric)], found[high(metric)] = _rounded(summary.low), _rounded(summary.high)
        found[number(metric)] = float(len(values))
    return found


def curves(seeds: Iterable[Seed], metrics: Iterable[str]) -> list[tuple[int, str, float]]:
    """The seeds' median at every epoch.

    A diverged seed ranks worst at every epoch from its last one on, which no other seed's end implies: those that the
    scheduler stopped count for the epochs that they have, and not for a test metric. Where the median is a diverged
    seed's, there is no point.

    Returns:
        epoch, name of the run's metric and median, by epoch.
    """
    seeds = list(seeds)
    points = []
    for metric in metrics:
        by_epoch = [_by_epoch(seed, metric) for seed in seeds]
        for epoch in sorted({epoch for values in by_epoch for epoch, value in values.items() if math.isfinite(value)}):
            there = [_at(seed, values, epoch, metric) for seed, values in zip(seeds, by_epoch, strict=True)]
            summary = summarize([value for value in there if value is not None])
            if summary is not None and not summary.diverged:
                points.append((epoch, curve(metric), summary.median))
    return sorted(points)


def _by_epoch(seed: Seed, metric: str) -> dict[int, float]:
    """What a seed that counts has measured, by epoch."""
    if seed.status != "diverged" and value_of(seed.status, 0.0, metric) is None:
        return {}
    values = ((int(record["epoch"]), measured(record, metric)) for record in seed.records)
    return {epoch: value for epoch, value in values if value is not None}


def _at(seed: Seed, values: Mapping[int, float], epoch: int, metric: str) -> float | None:
    if seed.status == "diverged" and (not seed.records or epoch >= seed.records[-1]["epoch"]):
        return value_of("diverged", None, metric)
    return value_of("finished", values.get(epoch), metric)


def _flat(metric: str) -> str:
    return metric.replace("/", "_")


def _rounded(value: float) -> float:
    return float(f"{value:.5g}") if math.isfinite(value) else math.nan
