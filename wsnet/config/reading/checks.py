"""What a sweep file asks of its report, checked against its axes; and what is allowed but looks like an oversight."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wsnet.config.errors import Keys, Mistake, did_you_mean, dotted
from wsnet.config.identity import changes_numbers
from wsnet.config.published import CASE, misnamed, rows_of
from wsnet.config.reading.keys import is_key, unknown_key
from wsnet.config.reading.overrides import Override, covers
from wsnet.config.reading.yaml_lines import Source
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = [
    "cells_of_one_row",
    "has_validation",
    "mistakes_of_averages",
    "mistakes_of_keys",
    "mistakes_of_link",
    "mistakes_of_validation",
    "small_last_batch",
    "unlinked",
    "warnings_of",
]

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


_PATH: Keys = ("report", "published")
_COMPARED = ("data.name", "model")
"""With another set or model no published number is one to compare with, whatever tells the cells apart."""


def mistakes_of_link(config: SweepConfig, source: Source, *, own: bool) -> list[Mistake]:
    """What names no column, no published value or no axis.

    Args:
        config: the sweep.
        source: its file.
        own: whether an own norm is in use, whose options may be axes.
    """
    link = config.report.published
    if link is None:
        return []
    mistakes = [_mistake(source, keys, text) for keys, text in misnamed(link)]
    for column, key in link.match.items():
        if key == CASE and not any(CASE in case for case in config.cases):
            text = "no case has a label; give one to each, such as {case: ResNet-110, model.depth: 110}"
            mistakes.append(_mistake(source, ("match", column), text))
        elif key != CASE and not is_key(key, own=own):
            text = unknown_key(key).replace("key", f"key {key!r}", 1)
            mistakes.append(_mistake(source, ("match", column), text))
    return mistakes


def cells_of_one_row(config: SweepConfig, cells: Sequence[Mapping[str, Any]], source: Source) -> list[Mistake]:
    """Published numbers that would stand beside more than one cell.

    Args:
        config: the sweep.
        cells: dotted key to value of each; those that differ in what report.select chooses over are one cell.
        source: the sweep's file.
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
                return [_mistake(source, ("match",), text)]
    return []


def unlinked(config: SweepConfig, fixed: Mapping[str, Override], source: Source) -> tuple[SweepConfig, list[str]]:
    """The sweep without its published numbers where the command line fixes what they are for, and why.

    Args:
        config: the sweep.
        fixed: dotted keys that `--set` fixes.
        source: the sweep's file.
    """
    link = config.report.published
    keys = set() if link is None else {*_COMPARED, *link.match.values()}
    found = [key for key in fixed if any(covers(key, other) or covers(other, key) for other in keys)]
    if not found:
        changed = [] if link is None else [key for key in fixed if changes_numbers(key) and not key.startswith("seed")]
        if not changed:
            return config, []
        text = f"published numbers are of another recipe, since --set fixes {', '.join(changed)}"
        return config, [f"{source.place(_PATH)}: {dotted(_PATH)}: {text}"]
    text = f"published numbers are left out, since --set fixes {', '.join(found)}"
    report = config.report.model_copy(update={"published": None})
    return config.model_copy(update={"report": report}), [f"{source.place(_PATH)}: {dotted(_PATH)}: {text}"]


def _chosen(config: SweepConfig) -> set[str]:
    """Axes that make no cells of their own, unless the published numbers ask for them."""
    select, link = config.report.select, config.report.published
    asked = [] if link is None else list(link.match.values())
    return {key for key in (() if select is None else select.over) if not any(covers(other, key) for other in asked)}


def _mistake(source: Source, keys: Keys, text: str) -> Mistake:
    path = (*_PATH, *keys)
    return Mistake(source.place(path), dotted(path), text)


_SHARE = 4
"""A last batch under one in so many of a batch is warned of."""


def warnings_of(configs: Iterable[TrialConfig], source: Source) -> list[str]:
    """Warnings about the settings of a sweep file, as `file:line: key: text`, each once."""
    late: dict[str, None] = {}
    small: dict[str, None] = {}
    for config in configs:
        schedule, epochs = config.optim.schedule, config.train.epochs
        # Published recipes have milestones past the end, so that is no mistake.
        if schedule.name == "multistep" and schedule.milestones[-1] >= epochs:
            beyond = [m for m in schedule.milestones if m >= epochs]
            late[f"milestones {beyond} are never reached in {epochs} epochs"] = None
        if (text := small_last_batch(config)) is not None:
            small[text] = None
    place = source.place(("base", "optim", "schedule", "milestones"))
    found = [f"{place}: base.optim.schedule.milestones: {text}" for text in late]
    return found + [f"{source.place(('base', 'train'))}: base.train.drop_last: {text}" for text in small]


def small_last_batch(config: TrialConfig) -> str | None:
    """What to say where an epoch ends with a step on less than a quarter of a batch; None elsewhere.

    Such a step has the learning rate of a whole batch and the gradient of a few images, just before an evaluation.
    """
    last, batch = config.last_batch_size, config.train.batch_size
    if last * _SHARE >= batch:
        return None
    images = f"{last} image{'s' if last > 1 else ''}"
    return (
        f"with train.batch_size={batch} the last step of an epoch is on {images} ({config.data.train_size:,} training "
        "images), at the full learning rate and just before an evaluation; set train.drop_last: true to leave it out"
    )
