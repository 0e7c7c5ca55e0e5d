"""Verdicts in plain language: a heading, and a sentence for each comparison."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence

from wsnet.config.compare import ALPHA, smallest_rank_sum_p
from wsnet.config.errors import counted
from wsnet.report.header import Header
from wsnet.report.names import axis_name, value_name
from wsnet.report.tables.pivot import Label
from wsnet.report.tables.text import MISSING, number
from wsnet.report.verdicts.intervals import Interval
from wsnet.report.verdicts.rank_tests import sampling_error
from wsnet.report.verdicts.seeds_needed import MOST_SEEDS
from wsnet.report.verdicts.verdict import Verdict
from wsnet.storage.seeds import higher_is_better, is_of_test

__all__ = ["column_name", "heading", "verdict_text"]


def column_name(column: str | None, key: str | None) -> str:
    """A column in words, such as `batch size 8`; empty where there are no columns."""
    if key is None or column is None:
        return ""
    is_word = isinstance(json.loads(column), str)
    return value_name(key, column) if is_word else f"{axis_name(key)} {value_name(key, column)}"


def heading(header: Header, listed: Sequence[Verdict], family: int) -> str:
    """What was declared, how it was tested, and what the test set allows to say.

    Args:
        header: of a sweep that declared comparisons.
        listed: the verdicts.
        family: number of comparisons that their p-values are corrected for.
    """
    compare, later = header.compare, header.after_report
    assert compare is not None, "there are verdicts only where comparisons were declared"
    when = "after a report was drawn" if later is not None and later.compare_changed else "before the run"
    lines = [f"{counted(compare.count, 'comparison')} declared {when}."]
    if any(verdict.p is not None for verdict in listed):
        over = f"; p-values are after Holm's correction over {family} comparisons" if family > 1 else ""
        lines.append(f"Exact two-sided rank-sum test of unpaired seeds{over}.")
    if any(verdict.difference is not None for verdict in listed):
        lines.append("Differences are Hodges-Lehmann estimates; each interval is for its comparison alone.")
    if compare.count > len(listed):
        lines.append(f"Comparisons that have not started: {compare.count - len(listed)}.")
    if compare.without_baseline:
        there = " and ".join(column_name(column, header.columns) or MISSING for column in compare.without_baseline)
        lines.append(f"Nothing is compared at {there}, where the baseline has no setting.")
    return " ".join([*lines, *_of_test_set(header, listed)])


def verdict_text(verdict: Verdict, header: Header, names: Mapping[Label, str], family: int) -> str:
    """One comparison as a sentence.

    Args:
        verdict: the comparison.
        header: of its sweep.
        names: of the rows, in words.
        family: number of comparisons that its p-value is corrected for.
    """
    setting, base = names[verdict.row], names[verdict.against]
    where = column_name(verdict.column, header.columns)
    at = f" at {where}" if where else ""
    if verdict.adjusted is None:
        return f"not tested: {setting} against {base}{at}: {_untested(verdict, header, setting, base)}."
    over = f" after Holm over {family} comparisons" if family > 1 else ""
    p = f"p = {verdict.adjusted:.2g}{over}"
    notes = _notes(verdict, header, setting, base)
    if verdict.outcome == "open":
        difference = _difference(verdict.difference, header.metric)
        return f"open: {setting} against {base}{at}: {difference}, {p}{notes}{_to_settle(verdict, family)}."
    is_better = verdict.outcome == "better"
    first, second = (setting, base) if is_better else (base, setting)
    return f"{first} beats {second}{at}: {_evidence(verdict, header, second, is_better=is_better)}, {p}{notes}."


def _evidence(verdict: Verdict, header: Header, loser: str, *, is_better: bool) -> str:
    """How many seeds of the better one are ahead, and the difference in its favour."""
    sets, difference = (verdict.values, verdict.baseline), verdict.difference
    if not is_better:
        sets = (verdict.baseline, verdict.values)
        difference = None if difference is None else _reversed(difference)
    return f"{_ahead(*sets, header.metric, loser)}, {_difference(difference, header.metric)}"


def _ahead(values: Sequence[float], others: Sequence[float], metric: str, other: str) -> str:
    sign, n = 1 if higher_is_better(metric) else -1, len(values)
    reference = [sign * value for value in others]
    if all(sign * value > max(reference) for value in values):
        return f"{n} of {n} seeds better than all of {other}"
    better = sum(sign * value > statistics.median(reference) for value in values)
    return f"{better} of {n} seeds better than the median of {other}"


def _difference(difference: Interval | None, metric: str) -> str:
    if difference is None:
        return "one seed each gives no interval"
    if not math.isfinite(difference.estimate):
        return "no finite difference"
    unit = " points" if metric.endswith(("error", "accuracy")) else ""
    estimate, low, high = (_bound(value, metric) for value in (difference.estimate, difference.low, difference.high))
    return f"difference {estimate}{unit} [{low}, {high}] ({100 * difference.level:.1f} % interval)"


def _bound(value: float, metric: str) -> str:
    text = number(value, metric) if math.isfinite(value) else f"{'-' if value < 0 else ''}∞"
    return text.removeprefix("-") if text.strip("-0.") == "" else text  # Not -0.00.


def _reversed(interval: Interval) -> Interval:
    return Interval(estimate=-interval.estimate, low=-interval.high, high=-interval.low, level=interval.level)


def _untested(verdict: Verdict, header: Header, setting: str, base: str) -> str:
    """What is known of a comparison without a p-value, and why it has none."""
    without = [name for name, values in ((setting, verdict.values), (base, verdict.baseline)) if not values]
    if without:
        return f"no value{' yet' if verdict.is_pending else ''} of {' and '.join(without)}"
    seen = f"{_ahead(verdict.values, verdict.baseline, header.metric, base)}"
    seen = f"{seen}, {_difference(verdict.difference, header.metric)}"
    reasons = []
    if verdict.is_pending:
        n = (len(verdict.values), len(verdict.baseline))
        reasons.append(f"{n[0]} and {n[1]} of {counted(header.seeds, 'seed')} have finished")
    later = header.after_report
    if later is not None:
        changed = ((later.seeds, "added"), (later.removed, "taken out"))
        reasons += [f"{_seeds(seeds)} {how} after a report was drawn" for seeds, how in changed if seeds]
    if "compare changed" in verdict.marks:
        reasons.append("the comparisons were declared or changed after a report was drawn")
    if "other metric" in verdict.marks:
        reasons.append(f"the comparisons were declared for {header.declared_metric}")
    if "selected" in verdict.marks:
        reasons.append("the settings were chosen by this metric")
    return f"{seen}, no p-value since {' and '.join(reasons)}{_notes(verdict, header, setting, base)}"


def _seeds(seeds: Sequence[int]) -> str:
    listed = ", ".join(map(str, seeds))
    return f"seed {listed} was" if len(seeds) == 1 else f"seeds {listed} were"


def _notes(verdict: Verdict, header: Header, setting: str, base: str) -> str:
    """Seeds that diverged, and seeds that are missing."""
    notes = []
    for name, values in ((setting, verdict.values), (base, verdict.baseline)):
        if diverged := sum(not math.isfinite(value) for value in values):
            notes.append(f"{diverged} of {counted(len(values), 'seed')} of {name} diverged and count as worst")
        if len(values) < header.seeds and not verdict.is_pending:
            notes.append(f"{header.seeds - len(values)} of {counted(header.seeds, 'seed')} of {name} crashed")
    return "".join(f"; {note}" for note in notes)


def _to_settle(verdict: Verdict, family: int) -> str:
    """How many seeds would settle an open comparison."""
    n, m = len(verdict.values), len(verdict.baseline)
    smallest = smallest_rank_sum_p(n, m)
    few = f"; {n} seeds against {m} cannot settle it" if family * smallest > ALPHA else ""
    if verdict.seeds_needed is None:
        return f"{few}; an estimated {MOST_SEEDS} seeds or more would be needed for each"
    return f"{few}; about {verdict.seeds_needed} seeds each, in a new sweep, would settle it (an estimate)"


def _of_test_set(header: Header, listed: Sequence[Verdict]) -> list[str]:
    """What the size of the test set means for the first baseline's error rate."""
    metric, images = header.metric, header.test_images
    base = next((verdict.baseline for verdict in listed if verdict.baseline), ())
    rate = statistics.median(base) if base else math.inf
    if images is None or not is_of_test(metric) or not metric.endswith(("error", "accuracy")) or not 0 <= rate <= 100:
        return []
    return [
        f"With {images:,} test images, a rate of {rate:.2f} % has a standard error of "
        f"{sampling_error(rate, images):.2f} points from the choice of images, which more seeds do not reduce."
    ]
