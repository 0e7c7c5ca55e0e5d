"""The cells of a table: one setting each, chosen where the sweep says so, in rows and columns as the sweep asks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsnet.config.sweep import SelectConfig
from wsnet.report.published import Published, published_of
from wsnet.report.results import Header, ReportError, Results
from wsnet.report.statistics import Summary, is_of_test, summarize, value_of

__all__ = ["SETTING", "Cell", "Choice", "Label", "Pivot", "choose", "pivot"]

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


Label = tuple[str | None, ...]
"""A row's values of the row keys, each as JSON text; None where its trials do not have the key."""

SETTING = "setting_id"
"""Row key of last resort, for settings that differ in no axis."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one setting.

    Attributes:
        setting_id: the setting.
        axes: dotted key to JSON text; None where the setting does not have the key.
        summary: of the metric; None where no trial counts.
        validation: of a test metric, where no trial counts: the validation value of stopped trials.
        stopped: epochs at which trials were stopped, without doubles.
        published: the published numbers of this metric that the cell answers.
        choice: of this setting among others; None where the sweep does not choose.
    """

    setting_id: str
    axes: dict[str, str | None]
    summary: Summary | None
    validation: Summary | None
    stopped: tuple[int, ...]
    published: tuple[Published, ...] = ()
    choice: Choice | None = None


@dataclass(frozen=True, kw_only=True)
class Pivot:
    """A table.

    Attributes:
        row_keys: dotted keys of the rows.
        added: those of them that the sweep did not ask for, added so that no cell mixes settings.
        columns: JSON text of each column's value, None where trials do not have the key or there is no column axis.
        rows: labels.
        cells: by row and column.
        missing: trials that do not count, by status.
        not_started: settings of which no trial has started, where that is known.
    """

    row_keys: tuple[str, ...]
    added: tuple[str, ...]
    columns: tuple[str | None, ...]
    rows: tuple[Label, ...]
    cells: dict[tuple[Label, str | None], Cell]
    missing: dict[str, int]
    not_started: int = 0

    @property
    def published(self) -> list[Published]:
        """The published numbers of all cells."""
        return [published for cell in self.cells.values() for published in cell.published]

    @property
    def most_seeds(self) -> int:
        """Seeds of the fullest cell."""
        return max((cell.summary.n for cell in self.cells.values() if cell.summary is not None), default=0)


def pivot(results: Results) -> Pivot:
    """Arrange trials into cells.

    Raises:
        ReportError: the statistic is none that there is.
    """
    header = results.header
    if header.statistic != "median":
        raise ReportError(f"report.statistic must be 'median', but got {header.statistic!r}")
    trials = sorted(results.trials.to_pylist(), key=lambda trial: trial["order"])
    row_keys, added = _row_keys(results, trials)
    groups: dict[tuple[Label, str | None], list[dict[str, Any]]] = {}
    for trial in trials:
        groups.setdefault((_label(trial, row_keys), _column(trial, header.columns)), []).append(trial)
    started = len({trial[SETTING] for trial in trials})
    there = {column for _, column in groups}
    listed = [column for column in header.column_values if column in there]
    return Pivot(
        row_keys=row_keys,
        added=added,
        columns=tuple(dict.fromkeys([*listed, *(column for _, column in groups)])),
        rows=tuple(dict.fromkeys(label for label, _ in groups)),
        cells={place: _cell(group, header) for place, group in groups.items()},
        missing=_missing(trials, header.metric),
        not_started=0 if header.settings is None else max(0, header.settings - started),
    )


def _row_keys(results: Results, trials: list[dict[str, Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The rows asked for, with every axis that is needed to tell the settings of a cell apart."""
    header = results.header
    over = header.select.over if header.select is not None else ()
    asked = tuple(key for key in header.rows if key in header.axes)
    other = [axis for axis in header.axes if axis not in (*asked, *over, header.columns)]
    cells: dict[tuple[Label, str | None], list[dict[str, Any]]] = {}
    for trial in trials:
        cells.setdefault((_label(trial, asked), _column(trial, header.columns)), []).append(trial)
    added = [axis for axis in other if any(len({trial[axis] for trial in cell}) > 1 for cell in cells.values())]
    settings: dict[tuple[Label, str | None], set[str]] = {}
    for trial in trials:
        candidate = _label(trial, (*asked, *added, *over))
        settings.setdefault((candidate, _column(trial, header.columns)), set()).add(trial[SETTING])
    if any(len(ids) > 1 for ids in settings.values()):
        added.append(SETTING)
    return (*asked, *added), tuple(added)


def _cell(candidates: list[dict[str, Any]], header: Header) -> Cell:
    choice = None if header.select is None else choose(candidates, header.select)
    metric, trials, axes = header.metric, candidates, {axis: candidates[0][axis] for axis in header.axes}
    if header.select is not None and choice is not None:
        trials = _of_one(candidates, choice.setting_id)
        axes |= dict(zip(header.select.over, choice.over, strict=True))
    summary = _summary(trials, metric)
    stopped = [trial for trial in trials if trial["status"] == "stopped"]
    validation = None
    if summary is None and stopped and is_of_test(metric):
        validation = _summary(stopped, metric.replace("test", "validation", 1))
    return Cell(
        setting_id=(trials or candidates)[0][SETTING],
        axes=axes,
        summary=summary,
        validation=validation,
        stopped=tuple(sorted({trial["epoch"] for trial in stopped})),
        published=published_of(header.published, axes, metric),
        choice=choice,
    )


def _of_one(trials: list[dict[str, Any]], setting: str | None) -> list[dict[str, Any]]:
    """The trials of one setting, each once, though it may be several combinations of the sweep."""
    return list({trial["trial_id"]: trial for trial in trials if trial[SETTING] == setting}.values())


def _summary(trials: Iterable[dict[str, Any]], metric: str) -> Summary | None:
    values = (value_of(trial["status"], trial.get(metric), metric) for trial in trials)
    return summarize([value for value in values if value is not None])


def _missing(trials: list[dict[str, Any]], metric: str) -> dict[str, int]:
    missing: dict[str, int] = {}
    for trial in {trial["trial_id"]: trial for trial in trials}.values():
        if value_of(trial["status"], trial.get(metric), metric) is None:
            missing[trial["status"]] = missing.get(trial["status"], 0) + 1
    return dict(sorted(missing.items()))


def _label(trial: dict[str, Any], keys: Iterable[str]) -> Label:
    return tuple(trial[key] for key in keys)


def _column(trial: dict[str, Any], key: str | None) -> str | None:
    return None if key is None else trial.get(key)
