"""Warnings about the scheduler: what is allowed, but makes its decisions less reliable than they look."""

from collections.abc import Sequence

from wsnet.config.reading.sweep_file import SweepFile
from wsnet.config.schedulers import FifoConfig
from wsnet.config.trial import TrialConfig

__all__ = ["warnings_of_scheduler"]


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
