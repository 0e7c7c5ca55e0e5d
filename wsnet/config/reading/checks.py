"""Checks across sections: whether the report fits the axes and the trials, and what looks like an oversight."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wsnet.config.errors import Keys, Mistake, did_you_mean, dotted
from wsnet.config.identity import affects_identity
from wsnet.config.published import CASE, misnamed, rows_of
from wsnet.config.reading.keys import covers
from wsnet.config.reading.sweep_file import SweepFile
from wsnet.config.report import NO_COLUMNS
from wsnet.config.schedulers import FifoConfig
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = [
    "drop_incomparable_published",
    "mistakes_of_cells",
    "mistakes_of_missing_averages",
    "mistakes_of_missing_validation_split",
    "mistakes_of_report",
    "small_last_batch_warning",
    "warnings_of",
    "warnings_of_scheduler",
]

_OVER: Keys = ("report", "select", "over")
_PUBLISHED: Keys = ("report", "published")
_COMPARED = ("data.name", "model")
"""With a different image set or model, no published number is comparable, whatever distinguishes the cells."""
_SMALLEST_SHARE = 1 / 4
"""Of a batch; a last batch smaller than that causes a warning."""


def mistakes_of_report(file: SweepFile) -> list[Mistake]:
    """Keys in `report` that do not exist, or cannot be chosen over; columns and values that no published number has."""
    return [file.mistake(path, text) for path, text in (*_wrong_axes(file), *_wrong_link(file))]


def mistakes_of_missing_validation_split(file: SweepFile) -> list[Mistake]:
    """A scheduler or metrics that use the validation split, in a sweep where some setting has none."""
    needs = "needs a validation split in every setting; set base.data.validation, such as 5000"
    scheduler = file.config.scheduler.name
    users: dict[Keys, str] = {("scheduler",): scheduler} if scheduler != "fifo" else {}
    users |= {path: metric for path, metric in _metrics(file.config).items() if metric.startswith("validation")}
    return [file.mistake(path, f"{user!r} {needs}") for path, user in users.items()]


def mistakes_of_missing_averages(file: SweepFile) -> list[Mistake]:
    """Metrics of averaged weights, in a sweep where some setting does not average them."""
    needs = "needs averaged weights in every setting; set base.train.ema.decay, such as 0.999"
    users = {path: metric for path, metric in _metrics(file.config).items() if "_ema/" in metric}
    return [file.mistake(path, f"{user!r} {needs}") for path, user in users.items()]


def mistakes_of_cells(file: SweepFile, config: SweepConfig, cells: Sequence[Mapping[str, Any]]) -> list[Mistake]:
    """Published numbers that would be shown beside more than one cell.

    Args:
        file: the sweep's file.
        config: the sweep, as it will be run.
        cells: dotted key to value of each; those that differ only in what report.select chooses over are one.
    """
    link = config.report.published
    if link is None:
        return []
    first: dict[str, Mapping[str, Any]] = {}
    chosen = _chosen(config)
    for cell in ({key: value for key, value in cell.items() if key not in chosen} for cell in cells):
        for row in rows_of(link, cell):
            other = first.setdefault(row.id, cell)
            if other != cell:
                differ = [key for key in {**other, **cell} if other.get(key) != cell.get(key)]
                text = (
                    f"the published number {row.id!r} would stand beside several cells, which differ in "
                    f"{', '.join(differ)}; tell them apart in match"
                )
                return [file.mistake((*_PUBLISHED, "match"), text)]
    return []


def drop_incomparable_published(file: SweepFile) -> tuple[SweepConfig, list[str], tuple[str, ...]]:
    """The sweep, without its published numbers if the command line fixes a key that selects them.

    Returns:
        the sweep, any warnings, and otherwise where the command line departs from the recipe of these numbers, such as
        `train.epochs is 1, not 250`.
    """
    config, fixed = file.config, file.fixed
    link = config.report.published
    if link is None:
        return config, [], ()
    departures: tuple[str, ...] = ()
    compared = {*_COMPARED, *link.match.values()}
    if selecting := [key for key in fixed if any(covers(key, other) or covers(other, key) for other in compared)]:
        config = config.model_copy(update={"report": config.report.model_copy(update={"published": None})})
        text = f"published numbers are left out, since --set fixes {', '.join(selecting)}"
    elif departures := _departures(file):
        text = f"the published numbers are of another recipe, since --set changes it: {'; '.join(departures)}"
    else:
        return config, [], ()
    return config, [str(file.mistake(_PUBLISHED, text))], departures


def _departures(file: SweepFile) -> tuple[str, ...]:
    """What the command line fixes in every trial, where that is not what the file says."""
    found = []
    for key, value in file.fixed.items():
        before, now = file.base.at(tuple(key.split("."))), value.plain()
        varies = any(key in axes for axes in (file.config.grid, *file.config.cases))
        if not affects_identity(key) or key.startswith("seed") or (before and before.plain() == now and not varies):
            continue
        instead = " throughout" if varies else f", not {_shown(before.plain())}" if before else " (not set in the file)"
        found.append(f"{key} is {_shown(now)}{instead}")
    return tuple(found)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def warnings_of(file: SweepFile, configs: Iterable[TrialConfig]) -> list[str]:
    """Warnings about the settings of a sweep file, as `file:line: key: text`, each once."""
    late: dict[str, None] = {}
    small: dict[str, None] = {}
    for config in configs:
        schedule, epochs = config.optim.schedule, config.train.epochs
        # Published recipes have milestones past the end, so that is no mistake.
        if schedule.name == "multistep" and schedule.milestones[-1] >= epochs:
            beyond = [m for m in schedule.milestones if m >= epochs]
            scaled = _scaled(schedule.milestones, epochs, file)
            late[f"milestones {beyond} are never reached in {epochs} epochs{scaled}"] = None
        if (text := small_last_batch_warning(config)) is not None:
            small[text] = None
    warnings = [str(file.mistake(("base", "optim", "schedule", "milestones"), text)) for text in late]
    return warnings + [str(file.mistake(("base", "train", "drop_last"), text)) for text in small]


def _scaled(milestones: Sequence[int], epochs: int, file: SweepFile) -> str:
    """How to scale the milestones if `--set` has changed the number of epochs, where the file gives one for all."""
    train = file.config.base.get("train")
    written = train.get("epochs") if isinstance(train, dict) else None
    if "train.epochs" not in file.fixed or type(written) is not int or written < 1 or milestones[-1] >= written:
        return ""
    scaled = [max(1, round(milestone * epochs / written)) for milestone in milestones]
    if len(set(scaled)) < len(scaled) or scaled[-1] >= epochs:
        return ""
    return f"; to scale them from {written} epochs: --set 'optim.schedule.milestones={scaled}'"


def small_last_batch_warning(config: TrialConfig) -> str | None:
    """A warning if an epoch ends with a step on less than a quarter of a batch; None otherwise.

    Such a step has the learning rate of a whole batch and the gradient of a few images, just before an evaluation.
    """
    last, batch = config.last_batch_size, config.train.batch_size
    if last >= batch * _SMALLEST_SHARE:
        return None
    images = f"{last} image{'s' if last > 1 else ''}"
    return (
        f"with train.batch_size={batch} the last step of an epoch is on {images} ({config.data.train_size:,} training "
        "images), at the full learning rate and just before an evaluation; set train.drop_last: true to leave it out"
    )


def _wrong_axes(file: SweepFile) -> list[tuple[Keys, str]]:
    """Path and message of each wrong key in report.rows, report.columns and report.select.over."""
    shown = _rows_and_columns(file.config)
    select = file.config.report.select
    over: dict[Keys, str] = {} if select is None else {(*_OVER, i): key for i, key in enumerate(select.over)}
    messages = [(path, _unknown(file, key)) for path, key in shown.items()]
    messages += [(path, _unknown(file, key) or _no_choice(file, key)) for path, key in over.items()]
    return [(path, text) for path, text in messages if text]


def _wrong_link(file: SweepFile) -> list[tuple[Keys, str]]:
    """Path and message of each wrong name in report.published."""
    link = file.config.report.published
    if link is None:
        return []
    messages: list[tuple[Keys, str]] = list(misnamed(link))
    for column, key in link.match.items():
        text = _unknown(file, key)
        if text and key == CASE:
            text = "no case has a label; give one to each, such as {case: ResNet-110, model.depth: 110}"
        if text:
            messages.append((("match", column), text))
    return [((*_PUBLISHED, *path), text) for path, text in messages]


def _metrics(config: SweepConfig) -> dict[Keys, str]:
    """Path to metric, of all metrics that a report needs."""
    select = config.report.select if config.stages is None else None  # The first of two stages chooses, not this one.
    by: dict[Keys, str] = {} if select is None else {("report", "select", "by"): select.by}
    return {("report", "metric"): config.report.metric, **by}


def _rows_and_columns(config: SweepConfig) -> dict[Keys, str]:
    """Path to key, of the rows and the columns."""
    rows: dict[Keys, str] = {("report", "rows", index): key for index, key in enumerate(config.report.rows or ())}
    columns = config.report.columns
    return rows if columns in (None, NO_COLUMNS) else {**rows, ("report", "columns"): columns}


def _unknown(file: SweepFile, key: str) -> str:
    """Message for a key that is neither a trial's nor `case` where cases have labels; empty for any other."""
    if key in file.keys or (key == CASE and any(CASE in case for case in file.config.cases)):
        return ""
    return f"unknown key {key!r}{file.keys.hint(key)}"


def _no_choice(file: SweepFile, key: str) -> str:
    """Message for a key that cannot be chosen over; empty for any other."""
    axes = dict.fromkeys(file.config.grid)
    for case in file.config.cases:
        grid = case.get("grid")
        axes |= dict.fromkeys([name for name in case if name != "grid"] + list(grid if isinstance(grid, dict) else ()))
    if file.has_axes and key not in axes:
        return f"no case and no grid sets {key!r}, so there is nothing to choose from{did_you_mean(key, axes)}"
    for path, shown in _rows_and_columns(file.config).items():
        if shown == key:
            return f"{key!r} is in {dotted(path)} too, which tells the cells apart; keep one of them"
    return ""


def _chosen(config: SweepConfig) -> set[str]:
    """The axes of report.select.over, which do not tell cells apart; without those that select published numbers."""
    select, link = config.report.select, config.report.published
    asked = [] if link is None else list(link.match.values())
    return {key for key in (() if select is None else select.over) if not any(covers(other, key) for other in asked)}


def warnings_of_scheduler(file: SweepFile, configs: Sequence[TrialConfig]) -> list[str]:
    """Warnings about the scheduler, as `file:line: key: text`.

    Args:
        file: the sweep's file.
        configs: its settings.
    """
    if isinstance(file.config.scheduler, FifoConfig):
        return []
    found = {"grace": _before_the_first_drop(file, configs), "compare": _splits_settings(file)}
    return [str(file.mistake(("scheduler", key), text)) for key, text in found.items() if text is not None]


def _before_the_first_drop(file: SweepFile, configs: Sequence[TrialConfig]) -> str | None:
    """Before the learning rate drops, errors follow the learning rate and its noise more than what is compared."""
    scheduler = file.config.scheduler
    assert not isinstance(scheduler, FifoConfig)
    longest = max(config.train.epochs for config in configs)
    first = min((rung for rungs in scheduler.rungs(longest) for rung in rungs), default=longest)
    schedules = [config.optim.schedule for config in configs]
    # A milestone is the number of epochs that are finished when the learning rate drops.
    drops = [schedule.milestones[0] for schedule in schedules if schedule.name == "multistep"]
    later = [drop for drop in drops if first <= drop < longest]
    if not later:
        return None
    return (
        f"the first rung, epoch {first}, comes before the first drop of the learning rate, after epoch {max(later)}: "
        f"settings may rank differently after it; set grace: {max(later) + 1} to decide later"
    )


def _splits_settings(file: SweepFile) -> str | None:
    seeds = len(file.config.seed_list)
    if file.config.compares_settings or seeds == 1:
        return None
    return (
        f"with compare 'trials' and {seeds} seeds, single seeds of a setting are stopped, which biases the medians in "
        "the report; 'settings' stops or continues all seeds of a setting together"
    )
