"""Choosing the setting that a cell shows, by a validation metric. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsnet.config.select import SelectConfig
from wsnet.report.statistics import Summary, summarize, value_of

__all__ = ["Choice", "choose"]

_ENDS = (("finished", "diverged"), ("stopped", "diverged"), ("diverged",))
"""How the trials of a candidate ended, and which of them then count: the first line that it has a trial of, the better.
A value from a rung is not comparable with one of the last epoch."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The setting chosen for a cell.

    Attributes:
        setting_id: the setting; None where no candidate has a value yet.
        over: its value of each key that was chosen over, as JSON text; None where it does not have the key.
        by: its seeds in the metric that decides.
        among: candidates, those without a value included.
        missing: values (as `over`) of the candidates without one.
    """

    setting_id: str | None
    over: tuple[str | None, ...]
    by: Summary | None
    among: int
    missing: tuple[tuple[str | None, ...], ...]


def choose(trials: Sequence[Mapping[str, Any]], select: SelectConfig) -> Choice:
    """Choose the candidate with the lowest median; of equal ones the first.

    Args:
        trials: of one cell, in the order of the sweep.
        select: what to choose over, by which metric.
    """
    candidates: dict[str, list[Mapping[str, Any]]] = {}
    for trial in trials:
        candidates.setdefault(trial["setting_id"], []).append(trial)
    over = {setting: tuple(found[0].get(key) for key in select.over) for setting, found in candidates.items()}
    ranked = [
        (setting, *rank) for setting, found in candidates.items() if (rank := _rank(found, select.by)) is not None
    ]
    best = min(ranked, key=lambda candidate: (candidate[1], candidate[2].median), default=None)
    valued = {setting for setting, *_ in ranked}
    return Choice(
        setting_id=None if best is None else best[0],
        over=tuple(None for _ in select.over) if best is None else over[best[0]],
        by=None if best is None else best[2],
        among=len(candidates),
        missing=tuple(over[setting] for setting in candidates if setting not in valued),
    )


def _rank(trials: Sequence[Mapping[str, Any]], metric: str) -> tuple[int, Summary] | None:
    """How a candidate ended (lower is better) and what it measured; None where no seed counts."""
    of_one_place = {trial["trial_id"]: trial for trial in trials}.values()
    values = [(trial["status"], value_of(trial["status"], trial.get(metric), metric)) for trial in of_one_place]
    for rank, ends in enumerate(_ENDS):
        summary = summarize([value for status, value in values if status in ends and value is not None])
        if summary is not None and any(status == ends[0] and value is not None for status, value in values):
            return rank, summary
    return None
