"""Parts of a sweep: the settings chosen by `--only`, and the reduced sweep of `--smoke`."""

import json
import math
from dataclasses import replace
from typing import Any

from wsnet.config.errors import ConfigError, Mistake, did_you_mean
from wsnet.config.optim import ConstantConfig, MultiStepConfig, OneCycleConfig, ScheduleConfig
from wsnet.config.published import CASE
from wsnet.config.reading.checked_sweep import Setting, Sweep, distinct, varying
from wsnet.config.reading.shallow import shallow
from wsnet.config.reading.yaml_lines import parse_value
from wsnet.config.schedulers import FifoConfig, HyperbandConfig, MedianConfig, RungConfig
from wsnet.config.search import GridConfig
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrainConfig, TrialConfig

__all__ = ["SMOKE_IMAGES", "only", "smoke"]

SMOKE_IMAGES = 8
"""Images of each split of a smoke run, unless --images says otherwise."""

_PLACE = "--only"
_SAMPLES = 4
"""Settings that a smoke run keeps of each case of a random search."""
_SUFFIX = "-smoke"
_MANY = 8
"""Settings from which on a smoke run has one seed."""


def only(sweep: Sweep, pairs: list[str]) -> Sweep:
    """Keep only the settings that match.

    Args:
        sweep: any sweep.
        pairs: `axis=value`, such as `case=ResNet-110`. Values of the same axis are alternatives; every axis must match.

    Returns:
        The sweep with the settings that match, along the same axes.

    Raises:
        ConfigError: the sweep does not have the axis, or no setting matches.
    """
    if not pairs:
        return sweep
    wanted: dict[str, list[Any]] = {}
    mistakes = []
    known = dict.fromkeys(key for setting in sweep.settings for axes in setting.places for key in axes)
    searched = {key for study in sweep.studies for key in study.space}
    for pair in pairs:
        key, equals, text = (part.strip() for part in pair.partition("="))
        if not key or not equals or not text:
            mistakes.append(Mistake(_PLACE, pair, "must be axis=value, such as train.batch_size=32"))
        elif key not in known:
            mistakes.append(Mistake(_PLACE, key, f"no axis of this sweep{did_you_mean(key, known)}"))
        elif key in searched:
            name = sweep.config.search.name
            mistakes.append(Mistake(_PLACE, key, f"search {name!r} chooses its values; use --set to fix one"))
        else:
            # A label is a string, even if it looks like a number.
            wanted.setdefault(key, []).append(text.strip("'\"") if key == CASE else parse_value(text))
    if not mistakes:
        mistakes = [
            _nothing(sweep, key, values) for key, values in wanted.items() if not _fitting(sweep, {key: values})
        ]
    if mistakes:
        raise ConfigError(mistakes)
    settings = _fitting(sweep, wanted)
    if not settings:
        raise ConfigError([Mistake(_PLACE, ", ".join(wanted), "no setting fits all of them")])
    tuning = None if sweep.tuning is None else only(sweep.tuning, pairs)
    studies = tuple(study for study in sweep.studies if _fits(study.cell, wanted))
    return replace(sweep, settings=settings, tuning=tuning, studies=studies)


def smoke(sweep: Sweep, *, images: int = SMOKE_IMAGES, steps: int | None = None) -> Sweep:
    """Shrink a sweep to a test of whether it runs; its results mean nothing.

    Every case is kept, with the first and the last value of each of its axes (in a random search: the first settings
    drawn). A setting is trained for one epoch (with a scheduler that stops trials: two, with a rung after the first),
    with one seed, or two where there are fewer than 8 settings or settings are compared, and leaves no checkpoint.

    Networks for small images have one block in each stage. Options in epochs are scaled; a schedule that then
    reaches no milestone becomes constant. Batches are no larger than the reduced training set. Settings that end up
    equal are trained once.

    Args:
        sweep: any sweep.
        images: maximum number of training, validation and test images, each.
        steps: maximum number of optimizer steps in an epoch.

    Returns:
        The small sweep, named with the suffix `-smoke`. In its `config`, `base`, `cases` and `grid` stay as written.
    """
    has_rungs = not isinstance(sweep.config.scheduler, FifoConfig)
    workers = sweep.config.resources.workers
    small = []
    for setting in _ends(sweep):
        config = _shrunk(setting.config, epochs=2 if has_rungs else 1, images=images, steps=steps, workers=workers)
        places = [
            {key: _moved(key, value, setting.config, config) for key, value in axes.items()} for axes in setting.places
        ]
        small.append(Setting(config=config, axes=places[0], case=setting.case, also=tuple(places[1:])))
    settings = distinct(small)
    return Sweep(
        config=_sweep_config(sweep.config, len(settings)),
        settings=settings,
        axes=varying(settings),
        warnings=[],
        tuning=None if sweep.tuning is None else smoke(sweep.tuning, images=images, steps=steps),
        is_stage=sweep.is_stage,
        is_smoke=True,
    )


def _fitting(sweep: Sweep, wanted: dict[str, list[Any]]) -> list[Setting]:
    return [kept for setting in sweep.settings if (kept := setting.where(lambda axes: _fits(axes, wanted)))]


def _fits(axes: dict[str, Any], wanted: dict[str, list[Any]]) -> bool:
    return all(axes.get(key) in values for key, values in wanted.items())


def _nothing(sweep: Sweep, key: str, values: list[Any]) -> Mistake:
    there = dict.fromkeys(str(axes[key]) for setting in sweep.settings for axes in setting.places if key in axes)
    return Mistake(
        _PLACE, key, f"no setting has {' or '.join(map(repr, values))} there{did_you_mean(values[0], there)}"
    )


def _ends(sweep: Sweep) -> list[Setting]:
    """For each case, the settings at the first and last value of every axis, or the first ones drawn."""
    kept: list[Setting] = []
    for case in dict.fromkeys(setting.case for setting in sweep.settings):
        settings = [setting for setting in sweep.settings if setting.case == case]
        kept += _ends_of_case(settings) if isinstance(sweep.config.search, GridConfig) else settings[:_SAMPLES]
    return kept


def _ends_of_case(settings: list[Setting]) -> list[Setting]:
    values: dict[str, list[str]] = {}
    for axes in (axes for setting in settings for axes in setting.places):
        for key, value in axes.items():
            values.setdefault(key, []).append(json.dumps(value))
    ends = {key: (seen[0], seen[-1]) for key, seen in values.items()}

    def at_an_end(axes: dict[str, Any]) -> bool:
        return all(json.dumps(value) in ends[key] for key, value in axes.items())

    return [kept for setting in settings if (kept := setting.where(at_an_end))]


def _sweep_config(config: SweepConfig, settings: int) -> SweepConfig:
    changes: dict[str, Any] = {"name": config.name[: 80 - len(_SUFFIX)] + _SUFFIX}
    changes["report"] = config.report.model_copy(update={"published": None})  # Smoke results are not comparable.
    seeds = 1 if settings >= _MANY and not config.compares_settings else 2
    changes["seeds"] = min(config.seeds, seeds) if isinstance(config.seeds, int) else config.seeds[:seeds]
    if not isinstance(config.search, GridConfig):
        changes["search"] = config.search.model_copy(update={"samples": min(config.search.samples, _SAMPLES)})
    if not isinstance(config.scheduler, FifoConfig):
        changes["scheduler"] = config.scheduler.model_copy(update={"grace": 1, **_frequent(config.scheduler)})
    return config.model_copy(update=changes)


def _frequent(scheduler: RungConfig) -> dict[str, int]:
    """Options with which a scheduler has a rung in two epochs."""
    if isinstance(scheduler, MedianConfig):
        return {"interval": 1}
    return {"eta": 2, "brackets": 2} if isinstance(scheduler, HyperbandConfig) else {"eta": 2}


def _shrunk(config: TrialConfig, *, epochs: int, images: int, steps: int | None, workers: int) -> TrialConfig:
    data, train = config.data, config.train
    limit = images if data.limit is None else min(images, data.limit)
    share = min(1.0, limit / (data.facts.train - data.validation))
    # At least one image per class, so that a stratified split has all classes.
    validation = min(data.validation, max(data.facts.classes, round(data.validation * share)))
    data = data.model_copy(update={"limit": limit, "validation": validation})
    batch_size, micro = _batch_sizes(train, data.train_size, workers)
    if train.steps_per_epoch is not None and steps is not None:
        steps = min(steps, train.steps_per_epoch)
    epochs = min(epochs, train.epochs)
    schedule = _scaled(config.optim.schedule, epochs, train.epochs)
    update = {
        "data": data,
        "model": shallow(config.model),
        "optim": config.optim.model_copy(update={"schedule": schedule}),
        "train": train.model_copy(
            update={
                "epochs": epochs,
                "batch_size": batch_size,
                "micro_batch_size": micro,
                "steps_per_epoch": steps or train.steps_per_epoch,
                "keep": "none",  # Hundreds of megabytes for each setting, of no use.
                "stop_above": None,  # A bound for trained nets; a smoke run leaves them untrained.
            }
        ),
    }
    return TrialConfig.model_validate(config.model_copy(update=update).model_dump())


def _batch_sizes(train: TrainConfig, images: int, workers: int) -> tuple[int, int | None]:
    """Batch size and micro-batch size that the workers can share evenly, no larger than the training set."""
    batch_size = min(train.batch_size, max(1, images // workers) * workers)
    micro = train.micro_batch_size
    if micro is None:
        return batch_size, None
    if micro == train.batch_size:  # The whole batch stays the whole batch.
        return batch_size, batch_size
    if batch_size >= micro * workers:
        return batch_size - batch_size % (micro * workers), micro
    return batch_size, math.gcd(micro, batch_size // workers)


def _scaled(schedule: ScheduleConfig, epochs: int, before: int) -> ScheduleConfig:
    if isinstance(schedule, OneCycleConfig):  # Its options are fractions of the training.
        return schedule
    warmup = schedule.warmup_epochs * epochs / before
    if isinstance(schedule, MultiStepConfig) and epochs < before:
        scaled = sorted({round(milestone * epochs / before) for milestone in schedule.milestones})
        reached = tuple(milestone for milestone in scaled if 1 <= milestone < epochs)
        if not reached:
            return ConstantConfig(name="constant", warmup_epochs=warmup)
        return schedule.model_copy(update={"milestones": reached, "warmup_epochs": warmup})
    return schedule.model_copy(update={"warmup_epochs": warmup})


def _moved(key: str, value: Any, before: TrialConfig, after: TrialConfig) -> Any:
    """An axis's value as it was written, unless shrinking changed what it sets."""
    old: Any = before.model_dump(mode="json")
    new: Any = after.model_dump(mode="json")
    for part in key.split("."):  # A section may be gone, such as train.stop_above.
        old, new = (tree.get(part) if isinstance(tree, dict) else None for tree in (old, new))
    return value if old == new else new
