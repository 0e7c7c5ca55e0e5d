"""What a sweep file asks its report for: every mistake in that, but those of the published numbers."""

from collections.abc import Iterable, Mapping
from typing import Any

from wsnet.config.errors import Keys, Mistake, did_you_mean, dotted
from wsnet.config.keys import is_key, unknown_key
from wsnet.config.published import CASE
from wsnet.config.source import Source
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = ["has_validation", "mistakes_of_averages", "mistakes_of_keys", "mistakes_of_validation"]

_OVER: Keys = ("report", "select", "over")


def mistakes_of_keys(config: SweepConfig, source: Source, *, own: bool, has_axes: bool) -> list[Mistake]:
    """Rows, columns and axes to choose over that there are not.

    Args:
        config: the sweep.
        source: its file.
        own: whether an own norm is in use, whose options may be keys.
        has_axes: whether `cases` and `grid` could be read whole; else an axis may only seem to be missing.
    """
    places = _places(config)
    over = config.report.select.over if config.report.select is not None else ()
    named = {**places, **{(*_OVER, index): key for index, key in enumerate(over)}}
    return [
        Mistake(source.place(path), dotted(path), text)
        for path, key in named.items()
        if (text := _unknown(key, config, own) or ("" if path in places else _no_choice(key, config, has_axes)))
    ]


def has_validation(trial: Mapping[str, Any]) -> bool:
    """Whether a trial's data, not checked yet, asks for a validation split; where that can not be said, it does."""
    data = trial.get("data")
    return not isinstance(data, dict) or bool(data.get("validation"))


def mistakes_of_validation(config: SweepConfig, source: Source) -> list[Mistake]:
    """What decides or reports on the validation split, in a sweep of which some setting has none."""
    needs = "needs a validation split in every setting; set base.data.validation, such as 5000"
    named: dict[Keys, str] = {("scheduler",): config.scheduler.name} if config.scheduler.name != "fifo" else {}
    named |= {path: metric for path, metric in _metrics(config).items() if metric.startswith("validation")}
    return [Mistake(source.place(path), dotted(path), f"{name!r} {needs}") for path, name in named.items()]


def mistakes_of_averages(config: SweepConfig, trials: Iterable[TrialConfig], source: Source) -> list[Mistake]:
    """What is said to be of averaged weights, where some setting does not average any."""
    if all(trial.train.ema is not None for trial in trials):
        return []
    needs = "needs averaged weights in every setting; set base.train.ema.decay, such as 0.999"
    named = {path: metric for path, metric in _metrics(config).items() if "_ema/" in metric}
    return [Mistake(source.place(path), dotted(path), f"{metric!r} {needs}") for path, metric in named.items()]


def _metrics(config: SweepConfig) -> dict[Keys, str]:
    """Path to metric, of all that a report needs."""
    select = config.report.select
    by: dict[Keys, str] = {} if select is None else {("report", "select", "by"): select.by}
    return {("report", "metric"): config.report.metric, **by}


def _places(config: SweepConfig) -> dict[Keys, str]:
    """Path to key, of the rows and the columns."""
    rows: dict[Keys, str] = {("report", "rows", index): key for index, key in enumerate(config.report.rows or ())}
    return {**rows, ("report", "columns"): config.report.columns} if config.report.columns else rows


def _unknown(key: str, config: SweepConfig, own: bool) -> str:
    if is_key(key, own=own) or (key == CASE and any(CASE in case for case in config.cases)):
        return ""
    return unknown_key(key).replace("key", f"key {key!r}", 1)


def _no_choice(key: str, config: SweepConfig, has_axes: bool) -> str:
    """What to say of a key that nothing can be chosen over; mostly nothing."""
    axes = dict.fromkeys(config.grid)
    for case in config.cases:
        grid = case.get("grid")
        axes |= dict.fromkeys([name for name in case if name != "grid"] + list(grid if isinstance(grid, dict) else ()))
    if has_axes and key not in axes:
        return f"no case and no grid sets {key!r}, so there is nothing to choose from{did_you_mean(key, axes)}"
    for path, place in _places(config).items():
        if place == key:
            return f"{key!r} is in {dotted(path)} too, which tells the cells apart; keep one of them"
    return ""
