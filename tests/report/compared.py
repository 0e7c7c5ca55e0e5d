"""Results with declared comparisons, for tests."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wsnet.config.compare import Declared
from wsnet.report.header import Header, axis_text
from wsnet.report.results import Results
from wsnet.report.tables.pivot import pivot
from wsnet.report.verdicts.judge import Verdicts, verdicts
from wsnet.report.verdicts.verdict import Verdict
from wsnet.storage import Outcome, TrialEntry

__all__ = ["CLOSE", "FIVE", "SHIFTED", "declared", "only", "results", "seeds", "verdicts_of"]

METRIC = "test/top1_error"
FIVE = (8.0, 8.1, 8.25, 8.4, 8.7)
CLOSE = (8.0, 8.2, 7.9, 7.7, 8.6)
SHIFTED = tuple(value - 3 for value in FIVE)

Seed = tuple[str, float | None]
"""How a trial ended, and its metric."""


def seeds(*values: float) -> list[Seed]:
    return [("finished", value) for value in values]


def declared(*, settings: Sequence[str] | None = None, at: Sequence[int] | None = None, count: int = 1) -> Declared:
    """Norms against batch."""
    return Declared(
        keys=("model.norm.name",),
        against=('"batch"',),
        settings=None if settings is None else tuple((json.dumps(norm),) for norm in settings),
        at=None if at is None else tuple(map(axis_text, at)),
        count=count,
        written={},
    )


def results(cells: Mapping[tuple[str, int], Sequence[float | Seed]], **header: Any) -> Results:
    """Cells by norm and batch size, each with its seeds; five are asked for unless the header says otherwise."""
    asked: dict[str, Any] = {
        "name": "s", "question": "q", "rows": ("model.norm.name",), "columns": "train.batch_size", "metric": METRIC,
        "statistic": "median", "axes": ("model.norm.name", "train.batch_size"), "seeds": 5,
        "compare": declared(count=len(cells) - 1),
        "column_values": tuple(map(axis_text, sorted({batch for _, batch in cells}))),
    }  # fmt: skip
    entries, outcomes, metric = [], {}, header.get("metric", METRIC)
    for (norm, batch), found in cells.items():
        for seed, one in enumerate(found):
            status, value = one if isinstance(one, tuple) else ("finished", one)
            axes = {"model.norm.name": norm, "train.batch_size": batch}
            setting = f"{norm}-{batch}"
            entries.append(TrialEntry(trial_id=f"{setting}-{seed}", setting_id=setting, seed=seed, name="", axes=axes))
            record = {"epoch": 3} if value is None else {"epoch": 3, metric: value}
            outcomes[f"{setting}-{seed}"] = Outcome(status=status, record=record)
    return Results.of(Header(**{**asked, **header}), entries, outcomes)


def verdicts_of(cells: Mapping[tuple[str, int], Sequence[float | Seed]], **header: Any) -> Verdicts:
    """The verdicts of `results`."""
    found = results(cells, **header)
    return verdicts(found, pivot(found))


def only(cells: Mapping[tuple[str, int], Sequence[float | Seed]], **header: Any) -> Verdict:
    """The only one of them."""
    (found,) = verdicts_of(cells, **header).verdicts
    return found
