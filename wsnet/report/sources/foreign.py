"""Results that wsnet has not made: from a CSV file with a row for each run, such as `trials.csv`, or from MLflow."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from wsnet.report import ReportError
from wsnet.report.header import Header, axis_text
from wsnet.report.results import PlacedTrial, Results
from wsnet.tracking import OtherRun

__all__ = ["of_other_runs", "read_csv"]

_SEEDS = ("seed", "random_seed", "manual_seed")
_OWN = ("trial_id", "setting_id", "seed", "status", "epoch")


def read_csv(file: str) -> Results:
    """Read runs from a CSV file.

    Its first line names the columns. Those with a slash, such as `test/top1_error`, are metrics of the last epoch,
    errors in percent; `seed`, `status` (`finished` if absent) and `epoch` are what they say; all others are axes, named
    as in a sweep file if they are to share a table's rows with a sweep: `model.norm.name`. An empty field means that an
    axis does not apply. Runs of equal axes are one setting.

    Raises:
        ReportError: the file is absent, has no metric, or a metric is not a number.
    """
    try:
        with Path(file).open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows = list(reader)
            names = [name for name in reader.fieldnames or () if name]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReportError(f"{file!r} cannot be read as CSV: {getattr(error, 'strerror', None) or error}") from None
    metrics = [name for name in names if "/" in name or name == "lr"]  # `lr` is what the last epoch had.
    axes = tuple(name for name in names if name not in metrics and name not in _OWN)
    results = [name for name in metrics if "/" in name]
    if not results or not rows:
        raise ReportError(f"{file!r} must have runs and a metric, such as a column test/top1_error, but it has none")
    trials = tuple(_trial(file, line, row, axes, metrics) for line, row in enumerate(rows, 2))
    if "seed" in names:
        _check_seeds(file, trials)
    first = next((name for name in results if name.startswith("test/")), results[0])
    return Results(_header(Path(file).stem, axes, first, trials), trials)


def of_other_runs(experiment: str, runs: Sequence[OtherRun], *, else_raise: Exception) -> Results:
    """Runs of another tool from MLflow: parameters in which they differ are axes, the seed's excepted.

    Args:
        experiment: its name.
        runs: of the experiment.
        else_raise: what to raise if no run has a metric.
    """
    metrics = sorted({name for run in runs for name in run.metrics})
    if not metrics:
        raise else_raise
    names = list(dict.fromkeys(name for run in runs for name in run.params))
    varied = [name for name in names if len({run.params.get(name) for run in runs}) > 1]
    axes = tuple(name for name in varied if name.rpartition(".")[2] not in _SEEDS)
    trials = []
    for number, run in enumerate(runs):
        values = {axis: _value(run.params.get(axis)) for axis in axes}
        seeds = [run.params[name] for name in names if name.rpartition(".")[2] in _SEEDS and name in run.params]
        trials.append(
            PlacedTrial(
                trial_id=run.run_id,
                setting_id=json.dumps(values, sort_keys=True, ensure_ascii=False),
                seed=int(seeds[0]) if seeds and seeds[0].isdecimal() else number,
                status="finished" if run.is_finished else "failed",
                epoch=0,
                axes=values,
                metrics=run.metrics,
            )
        )
    first = next((name for name in metrics if name.startswith("test")), metrics[0])
    return Results(_header(experiment, axes, first, tuple(trials)), tuple(trials))


def _header(name: str, axes: tuple[str, ...], metric: str, trials: Sequence[PlacedTrial]) -> Header:
    return Header(
        name=name,
        question="",
        rows=axes,
        columns=None,
        metric=metric,
        statistic="median",
        axes=axes,
        seeds=max(Counter(trial.setting_id for trial in trials).values()),
        column_values=(),
        is_foreign=True,
    )


def _check_seeds(file: str, trials: Sequence[PlacedTrial]) -> None:
    seen: dict[tuple[str, int], int] = {}
    for line, trial in enumerate(trials, 2):
        first = seen.setdefault((trial.setting_id, trial.seed), line)
        if first != line:
            raise ReportError(f"{file}:{line}: seed {trial.seed} of this setting is in line {first}, too")


def _trial(file: str, line: int, row: dict[str, str | None], axes: tuple[str, ...], metrics: list[str]) -> PlacedTrial:
    values = {axis: _value(row.get(axis)) for axis in axes}
    setting = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return PlacedTrial(
        trial_id=f"{Path(file).stem}:{line}",
        setting_id=setting,
        seed=int(_number(file, line, "seed", row.get("seed")) or 0),
        status=row.get("status") or "finished",
        epoch=int(_number(file, line, "epoch", row.get("epoch")) or 0),
        axes=values,
        metrics={name: value for name in metrics if (value := _number(file, line, name, row.get(name))) is not None},
    )


def _value(text: str | None) -> str | None:
    """JSON text of an axis's value; an empty field is no value."""
    if text is None or not text.strip():
        return None
    try:
        return axis_text(json.loads(text))
    except ValueError:
        return axis_text(text)


def _number(file: str, line: int, name: str, text: str | None) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise ReportError(f"{file}:{line}: {name} must be a number, but got {text!r}") from None
