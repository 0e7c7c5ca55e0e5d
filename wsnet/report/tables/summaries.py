"""Summaries of trials: what each contributes to a cell, and what does not count."""

from collections.abc import Iterable

from wsnet.report.results import PlacedTrial
from wsnet.storage.seeds import Summary, summarize, value_of

__all__ = ["compiled_of", "fact_of", "once", "summary_of", "uncounted", "value_in"]


def summary_of(trials: Iterable[PlacedTrial], metric: str) -> Summary | None:
    """Summary of a metric over the trials that count; None if none does."""
    values = (value_in(trial, metric) for trial in trials)
    return summarize([value for value in values if value is not None])


def value_in(trial: PlacedTrial, metric: str) -> float | None:
    """What a trial contributes to its cell; see `value_of`."""
    return value_of(trial.status, trial.measured(metric), metric)


def once(trials: Iterable[PlacedTrial]) -> list[PlacedTrial]:
    """Each trial once, even if it is at several places."""
    return list({trial.trial_id: trial for trial in trials}.values())


def uncounted(trials: Iterable[PlacedTrial], metric: str) -> dict[str, int]:
    """Trials that do not count, by status."""
    statuses = [trial.status for trial in once(trials) if value_in(trial, metric) is None]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def compiled_of(trials: Iterable[PlacedTrial], metric: str) -> tuple[int, int] | None:
    """How many of the trials that count are compiled, and how many count; None where all are or none is."""
    found = [trial.is_compiled for trial in once(trials) if value_in(trial, metric) is not None]
    return (sum(found), len(found)) if 0 < sum(found) < len(found) else None


def fact_of(trial: PlacedTrial, fact: str) -> float | None:
    """A number of parameters or multiply-accumulates, or seconds; None if unknown, or not of a trial."""
    found = {
        "parameters": trial.parameters,
        "multiply_accumulates": trial.multiply_accumulates,
        "training_time": trial.seconds,
    }
    return found.get(fact)
