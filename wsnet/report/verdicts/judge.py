"""What the comparisons that a sweep declared have shown: a verdict for each, with its test. Pure functions."""

import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from wsnet.config.compare import ALPHA
from wsnet.report.header import Header
from wsnet.report.names import setting_names
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.pivot import CellKey, Label, Pivot, cell_key
from wsnet.report.verdicts.intervals import attainable_interval
from wsnet.report.verdicts.rank_tests import holm, probability_of_improvement, rank_sum_p
from wsnet.report.verdicts.seeds_needed import seeds_needed
from wsnet.report.verdicts.text import heading, verdict_text
from wsnet.report.verdicts.verdict import Mark, Verdict
from wsnet.storage.seeds import higher_is_better, value_of

__all__ = ["Verdict", "Verdicts", "verdicts"]

_UNTESTED: frozenset[Mark] = frozenset(("added seeds", "compare changed", "other metric", "selected", "missing"))
"""Marks of comparisons that get no p-value."""


_Seeds = tuple[tuple[float, ...], bool]
"""The values of a setting's seeds, and whether there may be more of them."""


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """The verdicts of a sweep.

    Attributes:
        header: what the sweep asked.
        row_keys: the table's row keys.
        verdicts: by column, then by row, as in the table; empty if nothing was declared or nothing has started.
        family: number of comparisons that the p-values are corrected for: those tested, and those still to come.
        bold: row and column of each cell that may be bold.
    """

    header: Header
    row_keys: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    family: int
    bold: frozenset[tuple[Label, str | None]]

    def may_be_bold(self, row: Label, column: str | None) -> bool:
        """Whether a table may print a cell in bold, as the best of its column.

        That takes the best median of the column, alone, and a verdict that it is better in each comparison that it is
        part of there, at least one: a setting must beat the baseline; the baseline must beat every setting that was
        compared with it. That a bold setting is better than the other settings is not said, since they were not
        compared with each other.
        """
        return (row, column) in self.bold

    def lines(self) -> list[str]:
        """The heading and a line for each verdict; empty if the sweep declared no comparisons."""
        if self.header.compare is None:
            return []
        return [heading(self.header, self.verdicts, self.family), *(verdict.text for verdict in self.verdicts)]


def verdicts(results: Results, pivot: Pivot) -> Verdicts:
    """Test the declared comparisons.

    The family is all declared comparisons except those that can not be tested any more, since one side has ended
    without values. Those whose seeds are still being trained count.

    Args:
        results: of the sweep.
        pivot: its table.
    """
    header = results.header
    trials: dict[str, dict[str, PlacedTrial]] = {}
    for trial in results.trials:  # Each once, even if it is at several places.
        trials.setdefault(trial.setting_id, {})[trial.trial_id] = trial
    seeds = {place: _seeds(header, trials[cell.setting_id].values()) for place, cell in pivot.cells.items()}
    found = [
        _compared(header, row, base, column, seeds[row, column], seeds[base, column])
        for row, base, column in _pairs(results, pivot)
    ]
    if header.compare is not None and len(found) > header.compare.count:  # Earlier versions counted too few.
        header = replace(header, compare=header.compare.model_copy(update={"count": len(found)}))
    lost = sum("missing" in verdict.marks and not verdict.is_pending for verdict in found)
    tested = [verdict for verdict in found if verdict.p is not None]
    family = max(len(tested), (0 if header.compare is None else header.compare.count) - lost)
    adjusted = iter(holm([verdict.p for verdict in tested if verdict.p is not None], family=family))
    settled = [verdict if verdict.p is None else _settled(verdict, next(adjusted), family) for verdict in found]
    names = setting_names(pivot.rows, pivot.row_keys)
    said = (replace(verdict, text=verdict_text(verdict, header, names, family)) for verdict in settled)
    return Verdicts(
        header=header,
        row_keys=pivot.row_keys,
        verdicts=tuple(said),
        family=family,
        bold=frozenset(_bold(settled, pivot, header.metric)),
    )


def _pairs(results: Results, pivot: Pivot) -> Iterable[tuple[Label, Label, str | None]]:
    """The rows of the setting and of the baseline, and the column, of each declared comparison that has started."""
    compare = results.header.compare
    if compare is None:
        return
    declared = _declared_rows(results, pivot, compare.keys)
    for column, rows in _by_column(pivot, results.header.columns).items():
        if compare.at is not None and column not in compare.at:
            continue
        base = next((place for place in rows if compare.against in declared[place]), None)
        if base is None:
            continue
        seen = {pivot.cells[base].setting_id}
        for place in rows:
            setting, labels = pivot.cells[place].setting_id, declared[place]
            if setting not in seen and (compare.settings is None or not labels.isdisjoint(compare.settings)):
                seen.add(setting)  # Not again in another row that it stands in.
                yield place[0], base[0], place[1]


def _by_column(pivot: Pivot, columns: str | None) -> dict[str | None, list[CellKey]]:
    """The cells by the value of the columns' key, which in a ranking of settings is among the row keys."""
    found: dict[str | None, list[CellKey]] = {}
    for column in pivot.columns:
        for row in pivot.rows:
            if (row, column) in pivot.cells:
                is_ranked = pivot.ranked_by is not None and columns in pivot.row_keys
                value = row[pivot.row_keys.index(str(columns))] if is_ranked else column
                found.setdefault(value, []).append((row, column))
    return found


def _declared_rows(results: Results, pivot: Pivot, keys: Sequence[str]) -> dict[CellKey, set[tuple[str | None, ...]]]:
    """The rows that a comparison may name each cell by: several where one setting stands at several places."""
    columns = None if pivot.ranked_by is not None else results.header.columns
    found: dict[CellKey, set[tuple[str | None, ...]]] = {}
    for trial in results.trials:
        place = cell_key(trial, pivot.row_keys, columns)
        found.setdefault(place, set()).add(tuple(trial.axes.get(key) for key in keys))
    return found


def _compared(header: Header, row: Label, base: Label, column: str | None, own: _Seeds, other: _Seeds) -> Verdict:
    """One comparison, before the correction for all of them."""
    metric, (values, is_partial), (baseline, is_base_partial) = header.metric, own, other
    has_both, is_pending = bool(values and baseline), is_partial or is_base_partial
    marks = _marks(header, values, baseline)
    is_tested = has_both and not is_pending and not _UNTESTED & set(marks)
    sign = 1 if higher_is_better(metric) else -1
    better, reference = [sign * value for value in values], [sign * value for value in baseline]
    return Verdict(
        row=row,
        against=base,
        column=column,
        values=values,
        baseline=baseline,
        difference=attainable_interval(better, reference) if has_both else None,
        p=rank_sum_p(values, baseline) if is_tested else None,
        adjusted=None,
        improvement=probability_of_improvement(values, baseline, metric) if has_both else None,
        beat_median=sum(value > statistics.median(reference) for value in better) if has_both else 0,
        beat_all=sum(value > max(reference) for value in better) if has_both else 0,
        marks=marks,
        is_pending=is_pending,
        seeds_needed=None,
    )


def _seeds(header: Header, trials: Collection[PlacedTrial]) -> _Seeds:
    """The values of a setting's seeds; and whether some are to be trained yet, or were stopped before their end."""
    metric = header.metric
    values = [(trial.status, value_of(trial.status, trial.measured(metric), metric)) for trial in trials]
    is_stopped = any(status == "stopped" for status, _ in values)
    is_partial = any(value is None and status != "failed" for status, value in values)
    found = tuple(value for _, value in values if value is not None)
    return found, is_partial or is_stopped or len(trials) < header.seeds


def _marks(header: Header, values: Sequence[float], baseline: Sequence[float]) -> tuple[Mark, ...]:
    """What restricts a comparison."""
    later = header.after_report
    infinite = {float("inf"), float("-inf")}
    marks: dict[Mark, bool] = {
        "added seeds": later is not None and bool(later.seeds or later.removed),
        "compare changed": later is not None and later.compare_changed,
        "other metric": header.declared_metric not in (None, header.metric, header.metric.replace("accuracy", "error")),
        "selected": header.select is not None and header.select.by == header.metric,
        "diverged": not infinite.isdisjoint((*values, *baseline)),
        "incomplete": min(len(values), len(baseline)) < header.seeds,
        "missing": not values or not baseline,
    }
    return tuple(mark for mark, applies in marks.items() if applies)


def _settled(verdict: Verdict, adjusted: float, family: int) -> Verdict:
    """A tested comparison with its corrected p-value, and how many seeds would settle it if it is open."""
    found = replace(verdict, adjusted=adjusted)
    if found.outcome != "open":
        return found
    needed = seeds_needed(found.values, found.baseline, comparisons=family, alpha=ALPHA)
    more = None if needed is None else max(needed, min(len(found.values), len(found.baseline)) + 1)
    return replace(found, seeds_needed=more)


def _bold(found: Iterable[Verdict], pivot: Pivot, metric: str) -> Iterable[tuple[Label, str | None]]:
    """The cells that may be bold, at most one of each column."""
    sign = 1 if higher_is_better(metric) else -1
    listed = list(found)
    for column in pivot.columns:
        cells = {row: pivot.cells[row, column].summary for row in pivot.rows if (row, column) in pivot.cells}
        medians = {row: sign * summary.median for row, summary in cells.items() if summary is not None}
        best = [row for row, median in medians.items() if median == max(medians.values())]
        parts = [one for one in listed if one.column == column and best and best[0] in (one.row, one.against)]
        wins = [one.outcome == ("better" if one.row == best[0] else "worse") for one in parts]
        if len(best) == 1 and wins and all(wins):
            yield best[0], column
