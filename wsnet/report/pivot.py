"""The cells of a table, in the sweep's rows and columns: one setting each, chosen among several if the sweep asks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wsnet.config.sweep import SelectConfig, Tuned
from wsnet.report import ReportError
from wsnet.report.published import PublishedNumber, published_numbers
from wsnet.report.results import Axes, Header, PlacedTrial, Results
from wsnet.report.statistics import Summary, is_of_test, summarize, value_of

__all__ = ["SETTING", "Cell", "Choice", "Label", "Pivot", "choose", "pivot"]

Label = tuple[str | None, ...]
"""A row's values of the row keys, each as JSON text; None where its trials do not have the key."""

CellKey = tuple[Label, str | None]
"""A cell's row and column."""

SETTING = "setting_id"
"""Row key of last resort, for settings that differ in no axis."""


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
    over: Label
    by: Summary | None
    among: int
    missing: tuple[Label, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one setting.

    Attributes:
        setting_id: the setting.
        axes: the setting's axes.
        summary: summary of the metric; None if no trial counts.
        validation: for a test metric for which no trial counts, a summary of the stopped trials' validation metric.
        stopped: distinct epochs at which trials were stopped.
        published: the published numbers of this metric for this cell.
        compared: the summary that they are compared with; None where it is of another recipe.
        choice: how this setting was chosen; None if the sweep does not choose.
    """

    setting_id: str
    axes: Axes
    summary: Summary | None
    validation: Summary | None
    stopped: tuple[int, ...]
    published: tuple[PublishedNumber, ...] = ()
    compared: Summary | None = None
    choice: Choice | None = None


@dataclass(frozen=True, kw_only=True)
class Pivot:
    """A table.

    Attributes:
        row_keys: dotted keys of the rows.
        added: the row keys that the sweep did not ask for, added so that no cell mixes settings.
        columns: JSON text of each column's value, None where trials do not have the key or there is no column axis.
        rows: labels.
        cells: by row and column.
        missing: number of trials that do not count, by status.
        not_started: number of settings of which no trial has started; 0 if unknown.
    """

    row_keys: tuple[str, ...]
    added: tuple[str, ...]
    columns: tuple[str | None, ...]
    rows: tuple[Label, ...]
    cells: dict[CellKey, Cell]
    missing: dict[str, int]
    not_started: int = 0

    @property
    def published(self) -> list[PublishedNumber]:
        """The published numbers of all cells."""
        return [number for cell in self.cells.values() for number in cell.published]

    @property
    def most_seeds(self) -> int:
        """The largest number of seeds in any cell."""
        return max((cell.summary.n for cell in self.cells.values() if cell.summary is not None), default=0)


def pivot(results: Results) -> Pivot:
    """Arrange trials into cells.

    Raises:
        ReportError: the sweep asks for an unknown statistic.
    """
    header, trials = results.header, results.trials
    if header.statistic != "median":
        raise ReportError(f"report.statistic must be 'median', but got {header.statistic!r}")
    row_keys, added = _row_keys(header, trials)
    groups = _by_position(trials, row_keys, header.columns)
    started = len({trial.setting_id for trial in trials})
    there = dict.fromkeys(column for _, column in groups)
    listed = [column for column in header.column_values if column in there]
    return Pivot(
        row_keys=row_keys,
        added=added,
        columns=tuple(dict.fromkeys([*listed, *there])),
        rows=tuple(dict.fromkeys(label for label, _ in groups)),
        cells={position: _cell(group, header) for position, group in groups.items()},
        missing=_missing(trials, header.metric),
        not_started=0 if header.settings is None else max(0, header.settings - started),
    )


def _row_keys(header: Header, trials: Sequence[PlacedTrial]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The row keys asked for, plus those needed so that no cell mixes settings; and the added ones alone."""
    over = header.over
    asked = tuple(key for key in header.rows if key in header.axes)
    other = [axis for axis in header.axes if axis not in (*asked, *over, header.columns)]
    cells = _by_position(trials, asked, header.columns).values()
    added = [axis for axis in other if any(len({trial.axes[axis] for trial in cell}) > 1 for cell in cells)]
    candidates = _by_position(trials, (*asked, *added, *over), header.columns).values()
    if any(len({trial.setting_id for trial in candidate}) > 1 for candidate in candidates):
        added.append(SETTING)
    return (*asked, *added), tuple(added)


def _by_position(
    trials: Iterable[PlacedTrial], keys: tuple[str, ...], columns: str | None
) -> dict[CellKey, list[PlacedTrial]]:
    """Trials grouped by their values of the keys and by column."""
    groups: dict[CellKey, list[PlacedTrial]] = {}
    for trial in trials:
        label = tuple(trial.setting_id if key == SETTING else trial.axes[key] for key in keys)
        column = None if columns is None else trial.axes.get(columns)
        groups.setdefault((label, column), []).append(trial)
    return groups


def _cell(candidates: list[PlacedTrial], header: Header) -> Cell:
    metric, trials, axes = header.metric, candidates, dict(candidates[0].axes)
    choice = None
    if header.select is not None:
        choice = choose(candidates, header.select)
        trials = _once(trial for trial in candidates if trial.setting_id == choice.setting_id)
        axes |= dict(zip(header.select.over, choice.over, strict=True))
    elif header.tuned is not None:
        choice = _chosen_before(candidates[0], header.tuned)
    summary = _summary(trials, metric)
    stopped = [trial for trial in trials if trial.status == "stopped"]
    validation = None
    if summary is None and stopped and is_of_test(metric):
        validation = _summary(stopped, metric.replace("test", "validation", 1))
    return Cell(
        setting_id=(trials or candidates)[0].setting_id,
        axes=axes,
        summary=summary,
        validation=validation,
        stopped=tuple(sorted({trial.epoch for trial in stopped})),
        published=published_numbers(header.published, axes, metric),
        compared=None if header.departures else summary,
        choice=choice,
    )


def _missing(trials: Iterable[PlacedTrial], metric: str) -> dict[str, int]:
    """Trials that do not count, by status."""
    statuses = [trial.status for trial in _once(trials) if _value(trial, metric) is None]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


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


def _chosen_before(trial: PlacedTrial, tuned: Tuned) -> Choice:
    """The choice of a first stage, of which this sweep has only the result."""
    over = tuple(trial.axes.get(key) for key in tuned.over)
    return Choice(setting_id=trial.setting_id, over=over, by=None, among=tuned.candidates, missing=())


_ENDS = (("finished", "diverged"), ("stopped", "diverged"), ("diverged",))
"""Statuses whose trials are summarized together. A candidate gets the first tuple whose first status occurs among its
trials with a value. An earlier tuple wins: a value from a rung cannot be compared with one from the last epoch."""


def _rank(trials: Iterable[PlacedTrial], metric: str) -> tuple[int, Summary] | None:
    """A candidate's index in `_ENDS` (lower is better) and summary; None if no seed counts."""
    values = [(trial.status, value) for trial in _once(trials) if (value := _value(trial, metric)) is not None]
    for rank, ends in enumerate(_ENDS):
        summary = summarize([value for status, value in values if status in ends])
        if summary is not None and any(status == ends[0] for status, _ in values):
            return rank, summary
    return None


def _summary(trials: Iterable[PlacedTrial], metric: str) -> Summary | None:
    values = (_value(trial, metric) for trial in trials)
    return summarize([value for value in values if value is not None])


def _value(trial: PlacedTrial, metric: str) -> float | None:
    return value_of(trial.status, trial.metrics.get(metric), metric)


def _once(trials: Iterable[PlacedTrial]) -> list[PlacedTrial]:
    """Each trial once, even if it is at several places."""
    return list({trial.trial_id: trial for trial in trials}.values())
