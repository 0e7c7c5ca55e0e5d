"""Made-up results that look like those of real sweeps."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wsnet.config.published import PublishedConfig
from wsnet.config.report import SelectConfig
from wsnet.report.curves import Curves, SeedCurve, median_curve
from wsnet.report.header import Header, axis_text
from wsnet.report.results import Results
from wsnet.storage import Outcome, TrialEntry

__all__ = ["DECAYS", "NORMS", "TEST", "batch_sizes", "curves_of", "decays", "made_up", "norms", "random_search"]

TEST = "test/top1_error"

NORMS: tuple[dict[str, Any], ...] = (
    {"model.norm.name": "batch"},
    {"model.norm.name": "batch", "train.evaluation_statistics.name": "recomputed"},
    {"model.norm.name": "group", "model.norm.groups": 32},
    {"model.norm.name": "group", "model.norm.groups": 32, "model.weight": "standardized"},
    {"model.norm.name": "layer"},
    {"model.norm.name": "instance"},
    {"model.norm.name": "online"},
    {"model.norm.name": "filter_response"},
    {"model.norm.name": "evonorm_s0"},
    {"model.norm.name": "batch_renorm"},
    {"model.norm.name": "ghost_batch"},
    {"model.norm.name": "none", "model.weight": "normalized"},
)

DECAYS = [1 - 2.0**-k for k in range(4, 12)]

_BASES = (7.2, 7.0, 8.3, 7.4, 9.8, 9.2, 7.9, 8.1, 7.7, 7.3, 8.0, 10.4)


def made_up(
    settings: Sequence[tuple[Mapping[str, Any], Sequence[float | None]]],
    *,
    rows: Sequence[str] = (),
    columns: str | None = None,
    metric: str = TEST,
    stopped: Mapping[int, int] | None = None,
    epochs: int = 90,
    published: PublishedConfig | None = None,
    select: SelectConfig | None = None,
    validation: float = 0.3,
) -> Results:
    """Settings with the value of each seed: infinite for one that diverged, None for one that failed.

    Args:
        settings: axes, then values by seed.
        rows: the table's.
        columns: the table's.
        metric: what the values are.
        stopped: the epoch at which settings were stopped, by their number.
        epochs: of the others.
        published: as in a sweep file.
        select: as in a sweep file.
        validation: how much higher the validation error is.
    """
    axes = tuple(dict.fromkeys(key for given, _ in settings for key in given))
    values = {axis_text(given[columns]): None for given, _ in settings if columns in given}
    header = Header(
        name="made_up", question="Which normalization holds when the batch gets small?", rows=tuple(rows or axes),
        columns=columns, metric=metric, statistic="median", axes=axes, column_values=tuple(values),
        seeds=max(len(seeds) for _, seeds in settings), published=published, select=select,
    )  # fmt: skip
    entries, outcomes = [], {}
    for index, (given, seeds) in enumerate(settings):
        for seed, value in enumerate(seeds):
            identity = f"{index:03x}-{seed}"
            setting = f"{index:03x}"
            entries.append(TrialEntry(trial_id=identity, setting_id=setting, seed=seed, name="", axes=dict(given)))
            status = "failed" if value is None else "diverged" if math.isinf(value) else "finished"
            reached = epochs if status == "finished" else 7
            if stopped and index in stopped:
                status, reached = "stopped", stopped[index]
            measured = {metric: float(value)} if value is not None and math.isfinite(value) else {}
            if measured and metric == TEST:
                measured["validation/top1_error"] = float(value or 0) + validation
            outcomes[identity] = Outcome(status=status, record={"epoch": reached, **measured})
    return Results.of(header, entries, outcomes)


def batch_sizes(count: int, *, seeds: int = 5, sizes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256)) -> Results:
    """Test errors of norms against the batch size: those of batch norm rise in small batches, and it diverges."""
    draw = random.Random(7)
    settings = []
    for index, norm in enumerate(NORMS[:count]):
        for size in sizes:
            batch = "batch" in norm["model.norm.name"]
            error = _BASES[index] + (38 / size**1.25 if batch else 0.8 * abs(math.log2(size / 32)) * 0.3)
            error *= 0.7 if "train.evaluation_statistics.name" in norm else 1
            found: list[float | None] = [error * draw.gauss(1, 0.02) for _ in range(seeds)]
            if index == 0 and size == 1:
                found = [math.inf] * seeds
            if index == 5 and size == 256 and seeds > 1:
                found[0] = math.inf
            if index == 2 and size == 16:
                continue
            settings.append(({**norm, "train.batch_size": size}, found))
    rows = ("model.norm.name", "model.weight", "train.evaluation_statistics.name")
    return made_up(settings, rows=rows, columns="train.batch_size")


def norms(count: int, *, seeds: int = 5) -> Results:
    """Final test errors of norms, without a column axis."""
    draw = random.Random(3)
    settings: list[tuple[dict[str, Any], list[float | None]]] = [
        (norm, [_BASES[index] + draw.gauss(0, 0.15) for _ in range(seeds)]) for index, norm in enumerate(NORMS[:count])
    ]
    if count > 2:
        settings[2][1][0] = math.inf
    if count > 4:
        settings[4] = (settings[4][0], [math.inf] * seeds)
    return made_up(settings, rows=("model.norm.name", "model.weight", "train.evaluation_statistics.name"))


def decays(*, stopped: bool = True, missing: bool = True) -> Results:
    """Forward against backward decay, with a scheduler that stops most settings."""
    settings: list[tuple[dict[str, Any], list[float | None]]] = []
    for i, forward in enumerate(DECAYS):
        for j, backward in enumerate(DECAYS):
            error = 8 + 0.35 * (i - 5) ** 2 + 0.2 * (j - 3) ** 2 + (60 if i == 0 and j > 5 else 0)
            value = math.inf if j == 7 and i < 3 else error
            settings.append(({"model.norm.forward_decay": forward, "model.norm.backward_decay": backward}, [value]))
    order = sorted(range(len(settings)), key=lambda index: settings[index][1][0] or 0)
    ends = {index: (10 if rank > 21 else 30 if rank > 7 else 90) for rank, index in enumerate(order)}
    ends = {index: end for index, end in ends.items() if end < 90 and math.isfinite(settings[index][1][0] or 0)}
    if missing:
        settings = settings[:-3]
    return made_up(
        settings, rows=["model.norm.forward_decay"], columns="model.norm.backward_decay",
        metric="validation/top1_error", stopped=ends if stopped else None, epochs=250,
    )  # fmt: skip


def random_search(count: int = 40) -> Results:
    """Settings that were drawn at random, for two norms."""
    draw = random.Random(5)
    settings: list[tuple[dict[str, Any], list[float | None]]] = []
    for index in range(count):
        rate, decay = 10 ** draw.uniform(-3, 0.3), 10 ** draw.uniform(-5, -3)
        momentum = draw.uniform(0.8, 0.99)
        error = 8 + 3 * (math.log10(rate) + 1) ** 2 + (math.log10(decay) + 4) ** 2 + draw.gauss(0, 0.4)
        norm = "group" if index % 2 else "batch"
        values = {"model.norm.name": norm, "optim.lr": rate, "optim.weight_decay": decay, "optim.momentum": momentum}
        settings.append((values, [math.inf if rate > 1.3 else error]))
    return made_up(settings, rows=["model.norm.name"], columns="optim.momentum")


def curves_of(results: Results, *, epochs: int = 90) -> Curves:
    """Learning curves that end at the results' values."""
    seeds: dict[str, dict[str, SeedCurve]] = {}
    generator = np.random.default_rng(0)
    metric = results.header.metric
    for trial in results.trials:
        length = min(trial.epoch, epochs)
        at = np.arange(1, length + 1, dtype=float)
        end = trial.metrics.get(metric, 60.0)
        steps = np.select([at > 60, at > 30], [0.0, 0.09], 0.3)
        curve = end * (1 + steps) + (70 - end) * np.exp(-at / 7) + generator.normal(0, 0.5 * (steps + 0.1), length)
        seeds.setdefault(trial.setting_id, {})[trial.trial_id] = SeedCurve(
            epochs=at, values={metric: curve}, diverged=trial.status == "diverged"
        )
    found = {name: median_curve(list(each.values()), metric) for name, each in seeds.items()}
    seconds = {name: 300.0 * (1 + index % 7) for index, name in enumerate(seeds)}
    curves = {name: {metric: curve} for name, curve in found.items() if curve is not None}
    return Curves(metrics=(metric,), by_setting=curves, seconds=seconds)
