"""The cells of a table, in the sweep's rows and columns: one setting each, chosen among several if the sweep asks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wsnet.report import ReportError
from wsnet.report.header import Axes, Header
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.order import columns_in_order, rows_in_order
from wsnet.report.tables.published import PublishedNumber, published_numbers
from wsnet.report.tables.selection import Choice, choose, chosen_before
from wsnet.report.tables.summaries import compiled_of, once, summary_of, uncounted
from wsnet.storage.seeds import Summary, higher_is_better, is_of_test

__all__ = ["SETTING", "Cell", "CellKey", "Label", "Pivot", "cell_key", "pivot"]

Label = tuple[str | None, ...]
"""A row's values of the row keys, each as JSON text; None where its trials do not have the key."""

CellKey = tuple[Label, str | None]
"""A cell's row and column."""

SETTING = "setting_id"
"""Row key of last resort, for settings that differ in no axis."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one setting.

    Attributes:
        setting_id: the setting.
        axes: the setting's axes.
        shown: its values on all axes, with the defaults that hold where its case is silent.
        summary: summary of the metric; None if no trial counts.
        validation: for a test metric for which no trial counts, a summary of the stopped trials' validation metric.
        stopped: distinct epochs at which trials were stopped.
        uncounted: number of the setting's trials that do not count, by status.
        published: the published numbers of this metric for this cell.
        compared: the summary that they are compared with; None where it is of another recipe.
        choice: how this setting was chosen; None if the sweep does not choose.
        mixed: how many of the trials that count are compiled, and how many count; None where all are or none is.
    """

    setting_id: str
    axes: Axes
    summary: Summary | None
    validation: Summary | None
    stopped: tuple[int, ...]
    shown: Axes = field(default_factory=dict)
    uncounted: Mapping[str, int] = field(default_factory=dict)
    published: tuple[PublishedNumber, ...] = ()
    compared: Summary | None = None
    choice: Choice | None = None
    mixed: tuple[int, int] | None = None


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
        trials: number of trials that have started.
        ranked_by: the metric by whose median the rows are sorted, best first; None where they follow their keys.
    """

    row_keys: tuple[str, ...]
    added: tuple[str, ...]
    columns: tuple[str | None, ...]
    rows: tuple[Label, ...]
    cells: dict[CellKey, Cell]
    missing: dict[str, int]
    not_started: int = 0
    trials: int = 0
    ranked_by: str | None = None

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

    A table of two axes of which most cells would be empty, as after a random search, becomes a ranking of settings.

    Raises:
        ReportError: the sweep asks for an unknown statistic.
    """
    header = results.header
    if header.statistic not in ("median", "mean"):
        raise ReportError(f"report.statistic must be 'median' or 'mean', but got {header.statistic!r}")
    arranged = _arranged(results, header)
    if header.columns is None or not _is_sparse(arranged):
        return arranged
    axes = tuple(axis for axis in header.axes if axis not in header.over)
    return _ranked(_arranged(results, replace(header, columns=None, rows=axes)), results)


def _arranged(results: Results, header: Header) -> Pivot:
    trials = results.trials
    row_keys, added = _row_keys(header, trials)
    groups = _by_position(trials, row_keys, header.columns)
    started = len({trial.setting_id for trial in trials})
    there = dict.fromkeys(column for _, column in groups)
    listed = [column for column in header.column_values if column in there]
    return Pivot(
        row_keys=row_keys,
        added=added,
        columns=columns_in_order(dict.fromkeys([*listed, *there])),
        rows=rows_in_order(label for label, _ in groups),
        cells={position: _cell(group, header) for position, group in groups.items()},
        missing=uncounted(trials, header.metric),
        trials=len({trial.trial_id for trial in trials}),
        not_started=0 if header.settings is None else max(0, header.settings - started),
    )


def _is_sparse(pivot: Pivot) -> bool:
    rows, columns = len(pivot.rows), len(pivot.columns)
    return min(rows, columns) > 3 and len(pivot.cells) < rows * columns / 3


def _ranked(pivot: Pivot, results: Results) -> Pivot:
    """Rows by the median of the validation metric where there is one, else of the reported one; best first."""
    reported = results.header.metric
    by = reported.replace("test", "validation", 1) if is_of_test(reported) else reported
    by = by if any(trial.measured(by) is not None for trial in results.trials) else reported
    found: dict[str, list[PlacedTrial]] = {}
    for trial in once(results.trials):
        found.setdefault(trial.setting_id, []).append(trial)
    summaries = {setting: summary_of(trials, by) for setting, trials in found.items()}
    sign = -1 if higher_is_better(by) else 1

    def rank(row: Label) -> tuple[bool, float]:
        summary = summaries[pivot.cells[row, None].setting_id]
        return (True, 0.0) if summary is None else (False, sign * summary.median)

    return replace(pivot, rows=tuple(sorted(pivot.rows, key=rank)), ranked_by=by)


def _row_keys(header: Header, trials: Sequence[PlacedTrial]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The row keys asked for that vary, plus those needed so that no cell mixes settings; and the added ones alone."""
    over = header.over
    known = tuple(key for key in header.rows if key in header.axes)
    asked = tuple(key for key in known if len({trial.shown(key) for trial in trials}) != 1)
    other = [axis for axis in header.axes if axis not in (*asked, *over, header.columns)]
    cells = _by_position(trials, asked, header.columns).values()
    added = [axis for axis in other if any(len({trial.shown(axis) for trial in cell}) > 1 for cell in cells)]
    candidates = _by_position(trials, (*asked, *added, *over), header.columns).values()
    if any(len({trial.setting_id for trial in candidate}) > 1 for candidate in candidates):
        added.append(SETTING)
    kept = [key for key in (*asked, *added) if key != SETTING]
    if not all(any(trial.shown(key) is not None for key in kept) for trial in trials):
        asked = known  # Otherwise a row would have no label.
    return (*asked, *added), tuple(added)


def _by_position(
    trials: Iterable[PlacedTrial], keys: tuple[str, ...], columns: str | None
) -> dict[CellKey, list[PlacedTrial]]:
    """Trials grouped by their values of the keys and by column."""
    groups: dict[CellKey, list[PlacedTrial]] = {}
    for trial in trials:
        groups.setdefault(cell_key(trial, keys, columns), []).append(trial)
    return groups


def cell_key(trial: PlacedTrial, keys: tuple[str, ...], columns: str | None) -> CellKey:
    """The row and column of a trial in a table with these row keys and this column key."""
    label = tuple(trial.setting_id if key == SETTING else trial.shown(key) for key in keys)
    return label, None if columns is None else trial.shown(columns)


def _cell(candidates: list[PlacedTrial], header: Header) -> Cell:
    metric, trials, axes = header.metric, candidates, dict(candidates[0].axes)
    choice = None
    if header.select is not None:
        choice = choose(candidates, header.select)
        trials = once(trial for trial in candidates if trial.setting_id == choice.setting_id)
        axes |= dict(zip(header.select.over, choice.over, strict=True))
    elif header.tuned is not None:
        choice = chosen_before(candidates[0], header.tuned)
    summary = summary_of(trials, metric)
    stopped = [trial for trial in trials if trial.status == "stopped"]
    validation = None
    if summary is None and stopped and is_of_test(metric):
        validation = summary_of(stopped, metric.replace("test", "validation", 1))
    return Cell(
        setting_id=(trials or candidates)[0].setting_id,
        axes=axes,
        summary=summary,
        validation=validation,
        stopped=tuple(sorted({trial.epoch for trial in stopped})),
        shown={axis: candidates[0].defaults.get(axis) if value is None else value for axis, value in axes.items()},
        uncounted=uncounted(trials, metric),
        published=published_numbers(header.published, axes, metric),
        compared=None if header.departures or header.statistic != "median" else summary,
        choice=choice,
        mixed=compiled_of(trials, metric),
    )
