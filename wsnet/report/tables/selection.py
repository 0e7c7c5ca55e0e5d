"""Choosing among the settings of one cell, on the validation split."""

from collections.abc import Iterable
from dataclasses import dataclass

from wsnet.config.report import SelectConfig, Tuned
from wsnet.report.results import PlacedTrial
from wsnet.report.tables.summaries import once, value_in
from wsnet.storage.seeds import Summary, summarize

__all__ = ["Choice", "choose", "chosen_before"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The setting chosen for a cell.

    Attributes:
        setting_id: the setting; None where no candidate has a value yet.
        over: its value of each key that was chosen over, as JSON text; None where it does not have the key.
        by: summary of its seeds in the metric that decides.
        among: number of candidates, including those without a value.
        missing: for each candidate without a value, its values of the keys, as in `over`.
    """

    setting_id: str | None
    over: tuple[str | None, ...]
    by: Summary | None
    among: int
    missing: tuple[tuple[str | None, ...], ...]


def choose(trials: Iterable[PlacedTrial], select: SelectConfig) -> Choice:
    """Choose the candidate with the lowest median, among those that ended best (see `_ENDS`); ties go to the first.

    Args:
        trials: of one cell, in the order of the sweep.
        select: the keys to choose over, and the metric that decides.
    """
    candidates: dict[str, list[PlacedTrial]] = {}
    for trial in trials:
        candidates.setdefault(trial.setting_id, []).append(trial)
    over = {setting: tuple(found[0].axes.get(key) for key in select.over) for setting, found in candidates.items()}
    ranks = {setting: _rank(found, select.by) for setting, found in candidates.items()}
    ranked = {setting: rank for setting, rank in ranks.items() if rank is not None}
    best = min(ranked, key=lambda setting: (ranked[setting][0], ranked[setting][1].median), default=None)
    return Choice(
        setting_id=best,
        over=tuple(None for _ in select.over) if best is None else over[best],
        by=None if best is None else ranked[best][1],
        among=len(candidates),
        missing=tuple(over[setting] for setting in candidates if setting not in ranked),
    )


def chosen_before(trial: PlacedTrial, tuned: Tuned) -> Choice:
    """The choice of a first stage, of which this sweep has only the result."""
    over = tuple(trial.axes.get(key) for key in tuned.over)
    return Choice(setting_id=trial.setting_id, over=over, by=None, among=tuned.candidates, missing=())


_ENDS = (("finished", "diverged"), ("stopped", "diverged"), ("diverged",))
"""Statuses whose trials are summarized together. A candidate gets the first tuple whose first status occurs among its
trials with a value. An earlier tuple wins: a value from a rung cannot be compared with one from the last epoch."""


def _rank(trials: Iterable[PlacedTrial], metric: str) -> tuple[int, Summary] | None:
    """A candidate's index in `_ENDS` (lower is better) and summary; None if no seed counts."""
    values = [(trial.status, value) for trial in once(trials) if (value := value_in(trial, metric)) is not None]
    for rank, ends in enumerate(_ENDS):
        summary = summarize([value for status, value in values if status in ends])
        if summary is not None and any(status == ends[0] for status, _ in values):
            return rank, summary
    return None
