"""`python -m wsnet.report.published_tables`: the published numbers as tables, made like those of a sweep."""

import json
import sys
from collections.abc import Sequence

from wsnet.config.published import PublishedRow, published_rows
from wsnet.report.header import Header, axis_text
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.arrange import Arrangement, arrange
from wsnet.report.tables.markdown import markdown
from wsnet.report.tables.table import tabulate

__all__ = ["main", "published_results", "published_tables"]

_FEW = 2
"""Batch sizes up to which they are rows, not columns."""

_NOT_AXES = ("id", "system", "dataset", "metric", "value", "runs", "params_m", "flops", "training_time", "note")

_ABOUT = "As published, one number each; published accuracies are shown as errors, 100 - accuracy."


def main() -> int:
    """Print the tables; returns the exit status."""
    sys.stdout.write(published_tables())
    return 0


def published_tables() -> str:
    """All published tables as Markdown, one for each system and data set."""
    groups = dict.fromkeys((row.fields["system"], row.fields["dataset"]) for row in published_rows())
    parts = [
        "# Published numbers as tables",
        "Written by `python -m wsnet.report.published_tables` from `wsnet/config/published.csv`. "
        "[published.md](published.md) says which sweep files reproduce them.",
    ]
    for system, dataset in groups:
        results = published_results(system, dataset)
        metrics = sorted(results.metrics)
        parts += [f"## {system.replace('_', ' ').capitalize()}, {dataset}", _ABOUT]
        if results.header.columns is None:
            parts.append(_cells(*arrange(results, Arrangement(metrics=tuple(metrics)))))
            continue
        for metric in metrics:
            parts += [f"{metric}, by {results.header.columns}:", _cells(results.with_metric(metric), ())]
    return "\n\n".join(parts) + "\n"


def _cells(results: Results, quantities: Sequence[str]) -> str:
    """The table alone, without title and caption."""
    table, _ = tabulate(results, quantities)
    return "\n".join(line for line in markdown(table).splitlines() if line.startswith("|"))


def published_results(system: str, dataset: str) -> Results:
    """The numbers of one system on one data set, as the results of a sweep with one seed.

    Args:
        system: as in the column `system`.
        dataset: as in the column `dataset`.
    """
    rows = [row for row in published_rows() if (row.fields["system"], row.fields["dataset"]) == (system, dataset)]
    names = [name for name in dict.fromkeys(n for row in rows for n in row.fields) if name not in _NOT_AXES]
    axes = tuple(name for name in names if len({row.fields.get(name, "") for row in rows}) > 1) or ("model",)
    metrics: dict[str, dict[str, float]] = {}
    firsts: dict[str, PublishedRow] = {}
    for row in rows:
        setting = json.dumps([row.fields.get(axis, "") for axis in axes])
        metric = "test/" + row.fields["metric"].replace("_acc", "_error")
        found = metrics.setdefault(setting, {})
        if metric in found:  # The same number, printed in two tables of one README.
            assert found[metric] == float(row.error(metric) or 0)
        found[metric] = float(row.error(metric) or 0)
        firsts.setdefault(setting, row)
    sizes = {row.fields["batch_size"] for row in rows}
    columns = "batch_size" if "batch_size" in axes and len(sizes) > _FEW else None
    trials = tuple(
        PlacedTrial(
            trial_id=setting,
            setting_id=setting,
            seed=0,
            status="finished",
            epoch=0,
            axes={axis: _axis_value(firsts[setting].fields.get(axis, "")) for axis in axes},
            metrics=found,
        )
        for setting, found in metrics.items()
    )
    header = Header(
        name=f"{system}, {dataset}",
        question="",
        rows=tuple(axis for axis in axes if axis != columns),
        columns=columns,
        metric="test/top1_error",
        statistic="median",
        axes=axes,
        seeds=1,
        column_values=(),
    )
    return Results(header, trials)


def _axis_value(text: str) -> str | None:
    if not text:
        return None
    try:
        return axis_text(json.loads(text))
    except ValueError:
        return axis_text(text)


if __name__ == "__main__":
    sys.exit(main())
