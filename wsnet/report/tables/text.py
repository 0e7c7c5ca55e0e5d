"""Values, cells and captions as readable text, the same in the table's file and on the terminal."""

import json
import math
from collections.abc import Sequence
from typing import Any

from wsnet.config.errors import counted
from wsnet.config.report import SelectConfig, Tuned
from wsnet.report.header import Header
from wsnet.report.tables.pivot import SETTING, Cell, Label, Pivot
from wsnet.report.tables.published import published_caption, published_text
from wsnet.report.verdicts.intervals import smallest_p
from wsnet.storage.seeds import Summary, is_of_test

__all__ = [
    "DIVERGED",
    "MISSING",
    "STATUS",
    "caption",
    "cell_text",
    "duration_text",
    "footnote",
    "label_text",
    "number",
    "plain_text",
    "recipe",
    "value_of_key",
    "value_text",
]

MISSING, DIVERGED = "–", "diverged"  # noqa: RUF001
_NAMED = 8
"""Maximum number of candidates that a caption names; it only counts the rest."""
_MIXED = (
    "Where a cell says how many of its trials are compiled, the others are eager: their rounding differs "
    "(execution.compile)."
)
STATUS = {"failed": "crashed", "running": "unfinished", "finished": "without this metric", "stopped": "stopped early"}
"""What is said of trials that do not count."""


def value_text(value: str | None) -> str:
    """A value on an axis, from its JSON text; a dash where the axis does not apply."""
    if value is None:
        return MISSING
    return plain_text(json.loads(value))


def plain_text(value: Any) -> str:
    """A configuration's value: text as it is, nothing as `none`, anything else as JSON."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def value_of_key(value: str | None, key: str) -> str:
    """The text of a row's value of one of its keys."""
    return value or MISSING if key == SETTING else value_text(value)


def label_text(label: Label, keys: tuple[str, ...]) -> str:
    """A row in one short line: words as they are, numbers with the last part of their key."""
    parts = []
    for value, key in zip(label, keys, strict=True):
        if value is not None:
            text = value_of_key(value, key)
            word = key == SETTING or isinstance(json.loads(value), str)
            parts.append(text if word else f"{key.rpartition('.')[2]}={text}")
    return ", ".join(parts) or "all"


def number(value: float, metric: str) -> str:
    """A measured value: percentages with two decimals, others with four digits; `diverged` if not finite."""
    if not math.isfinite(value):
        return DIVERGED
    return f"{value:.2f}" if metric.endswith(("error", "accuracy")) else f"{value:.4g}"


def duration_text(seconds: float) -> str:
    """A duration, such as `12.3 s`, `4:05 min` or `2:10 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def cell_text(cell: Cell | None, header: Header, *, before_choice: str = " ") -> str:
    """A cell, such as `4.20 [3.91, 4.62] n=4`; n is shown only if it differs from the sweep's number of seeds.

    What was chosen for the cell follows `before_choice`, as `at lr=0.1`; then come published numbers in parentheses.
    """
    if cell is None:
        return MISSING
    choice = _choice_text(cell, header)
    at = f"{before_choice}at {choice}" if choice else ""
    return _measured(cell, header) + at + published_text(cell.published, cell.compared)


def _choice_text(cell: Cell, header: Header) -> str:
    if cell.choice is None or not any(cell.choice.over):
        return ""
    return label_text(cell.choice.over, header.over)


def _measured(cell: Cell, header: Header) -> str:
    at = " at " + ", ".join(map(str, cell.stopped)) if cell.stopped else ""
    uncounted = {status: count for status, count in cell.uncounted.items() if status != "stopped"}
    if cell.summary is not None:
        of = f" of {cell.summary.n + sum(uncounted.values())}" if uncounted else ""
        mixed = " ({} of {} compiled)".format(*cell.mixed) if cell.mixed is not None else ""
        return _summary_text(cell.summary, header, header.metric) + of + (f" (stopped{at})" if at else "") + mixed
    if cell.validation is not None:
        validation = header.metric.replace("test", "validation", 1)
        return f"stopped{at} (validation {_summary_text(cell.validation, header, validation)})"
    if at:
        return f"stopped{at}"
    why = ", ".join(f"{count} {STATUS.get(status, status)}" for status, count in uncounted.items())
    return f"{MISSING} ({why})" if why else MISSING


def caption(header: Header, pivot: Pivot) -> list[str]:
    """What the table shows, in sentences."""
    seeds = "one seed" if header.seeds == 1 else f"{header.seeds} seeds"
    spread = {"median": " [lowest, highest]", "mean": " ± standard deviation"}[header.statistic]
    shown = f"{header.statistic}{'' if header.seeds == 1 else spread}"
    others = any(cell.summary is not None and cell.summary.n != header.seeds for cell in pivot.cells.values())
    fewer = "; n= where there are more or fewer" if others else ""
    lines = [f"{header.metric} at {header.at}: {shown} over {seeds}{fewer}."]
    if pivot.ranked_by is not None:
        lines.append(f"Settings are ranked by their median {pivot.ranked_by}.")
    elif header.columns is not None:
        lines.append(f"Columns: {header.columns}.")
    if header.where:
        lines.append(f"Only trials with {' and '.join(header.where)}.")
    if header.evaluation_statistics is not None:
        lines.append(f"Norms that keep a running mean and variance are evaluated with {header.evaluation_statistics}.")
    if header.learning_rate is not None:
        rate = header.learning_rate
        same = "The same learning rate at every batch size."
        lines.append(same if rate == "fixed" else f"Learning rate over batch sizes: {rate}.")
    if header.select is not None:
        lines += _selected(header, header.select, pivot)
    elif header.tuned is not None:
        lines.append(_tuned(header.tuned))
    elif is_of_test(header.metric):
        lines += _not_selected(header, pivot)
    lines += published_caption(header.published, pivot.published, header.metric, header.departures or _means(header))
    if pivot.added:
        lines.append(f"Rows are also split by {', '.join(pivot.added)}; otherwise a cell would mix several settings.")
    if any(cell.mixed is not None for cell in pivot.cells.values()):
        lines.append(_MIXED)
    if header.devices:
        lines.append(f"Training times are on {', '.join(header.devices)}.")
    if pivot.missing:
        counts = ", ".join(f"{count} {STATUS.get(status, status)}" for status, count in pivot.missing.items())
        lines.append(f"Trials that do not count: {counts}.")
    if header.trials is not None and pivot.trials < header.trials and not header.where:
        lines.append(f"Trials that have not started: {header.trials - pivot.trials} of {header.trials}.")
    return lines


def _selected(header: Header, select: SelectConfig, pivot: Pivot) -> list[str]:
    """How the settings shown were chosen, and among how many."""
    counts = sorted({cell.choice.among for cell in pivot.cells.values() if cell.choice is not None})
    among = " to ".join(str(count) for count in dict.fromkeys([*counts[:1], *counts[-1:]]))
    lines = []
    if counts:
        how = f"selected among {among} candidates by the lowest median {select.by} over the seeds"
        lines.append(f"For each cell, {_were(select.over)} {how}; the test set had no part in the choice.")
    if header.metric.startswith("validation"):
        lines.append("The values shown are from the split that was used to choose, so they are optimistic.")
    missing = _missing_candidates(header, select, pivot)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        lines.append(f"Candidates without a result: {'; '.join(missing[:_NAMED])}{more}.")
    if pivot.not_started:
        lines.append(f"Settings that have not started and are not counted among the candidates: {pivot.not_started}.")
    return lines


def _tuned(tuned: Tuned) -> str:
    """That a first stage chose the settings shown."""
    how = f"selected among {tuned.candidates} candidates in sweep {tuned.sweep!r} by the lowest median {tuned.by}"
    return (
        f"For each cell, {_were(tuned.over)} {how} over {counted(tuned.seeds, 'seed')}. The trials shown were trained "
        "afterwards, with other seeds; the test set had no part in the choice."
    )


def _were(keys: Sequence[str]) -> str:
    return f"{' and '.join(keys)} {'was' if len(keys) == 1 else 'were'}"


def _missing_candidates(header: Header, select: SelectConfig, pivot: Pivot) -> list[str]:
    column_key = () if header.columns is None else (header.columns,)
    return [
        label_text((*row, *(column for _ in column_key), *over), (*pivot.row_keys, *column_key, *select.over))
        for (row, column), cell in pivot.cells.items()
        for over in (cell.choice.missing if cell.choice is not None else ())
    ]


def _not_selected(header: Header, pivot: Pivot) -> list[str]:
    """A warning if the table invites choosing an optimizer's hyperparameter on the test set."""
    rows = zip(pivot.row_keys, zip(*pivot.rows, strict=True), strict=False)
    found = [key for key, values in rows if key.startswith("optim.") and len(set(values)) > 1]
    ways = [f"rows that differ in {' and '.join(found)}"] if found else []
    if header.columns is not None and header.columns.startswith("optim.") and len(pivot.columns) > 1:
        ways.append(f"columns that differ in {header.columns}")
    if not ways:
        return []
    best = f"Taking the best of the {' or of the '.join(ways)} would be selecting on the test set"
    return [f"{best}; report.select chooses on the validation split."]


def recipe(header: Header) -> str | None:
    """What no axis varies, in one sentence; None for sweeps of earlier versions, which do not say."""
    parts = {"": header.fixed, **{f"in {sweep}: ": fixed for sweep, fixed in header.fixed_apart.items()}}
    texts = {place: ", ".join(f"{k} {plain_text(v)}" for k, v in fixed.items()) for place, fixed in parts.items()}
    said = "; ".join(place + text for place, text in texts.items() if text)
    return f"Fixed: {said}." if said else None


def footnote(pivot: Pivot, elsewhere: int = 0) -> str | None:
    """That nothing was tested, and the smallest p that so many seeds allow; None if there are no seeds to compare.

    Args:
        pivot: the table.
        elsewhere: number of comparisons that were declared, but are about another table.
    """
    if elsewhere:
        return f"Nothing is tested here: the {elsewhere} declared comparisons are about the sweep's own table."
    n = pivot.most_seeds
    if n == 0:
        return None
    p = smallest_p(n)
    seeds, pairs = ("1 seed", "1 pair") if n == 1 else (f"{n} seeds", f"{n} pairs")
    return (
        f"Differences were not tested, and no significance is claimed. The smallest p possible with {seeds} per cell: "
        f"exact sign-flip test of {pairs}, two-sided 2/2^{n} = {p.paired:.5g}, "
        f"one-sided 1/2^{n} = {p.paired_one_sided:.5g}; "
        f"exact rank-sum test of {n} against {n}, two-sided 2/C({2 * n}, {n}) = {p.rank_sum:.5g}."
    )


def _means(header: Header) -> tuple[str, ...]:
    return () if header.statistic == "median" else (f"this table shows the {header.statistic}",)


def _summary_text(summary: Summary, header: Header, metric: str) -> str:
    if header.statistic == "mean":
        text = number(summary.mean, metric)
        if math.isfinite(summary.deviation):
            text += f" ± {number(summary.deviation, metric)}"
    else:
        text = number(summary.median, metric)
        if summary.n > 1 and (math.isfinite(summary.low) or math.isfinite(summary.high)):
            text += f" [{number(summary.low, metric)}, {number(summary.high, metric)}]"
    return text if summary.n == header.seeds else f"{text} n={summary.n}"
