"""What is on the page of a sweep, in which order, whatever it is written as."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from wsnet.config.errors import counted
from wsnet.report.names import axis_name, metric_name
from wsnet.report.page.details import Details
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.summaries import once
from wsnet.report.tables.table import Table
from wsnet.report.tables.text import MISSING, duration_text, number, plain_text, value_text

__all__ = ["Block", "Code", "Figure", "Grid", "Lines", "Section", "contents"]


@dataclass(frozen=True)
class Lines:
    """Sentences, each a paragraph of its own or an item of a list."""

    lines: Sequence[str]
    are_items: bool = False
    are_small: bool = False


@dataclass(frozen=True)
class Grid:
    """A table: headings, rows of text, the number of label columns on the left; links and bold cells by position."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int
    links: Mapping[tuple[int, int], str] = field(default_factory=dict)
    bold: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Figure:
    """A figure, by the name of its file without the ending."""

    name: str


@dataclass(frozen=True)
class Code:
    """Text as it is in a file, under a heading that unfolds it."""

    summary: str
    text: str


Block = Lines | Grid | Figure | Code


@dataclass(frozen=True)
class Section:
    """A part of the page; the first one has no title."""

    title: str
    blocks: Sequence[Block]


def contents(results: Results, table: Table, figures: Sequence[str], details: Details | None) -> list[Section]:
    """The page's sections, without those that would be empty.

    Args:
        results: of the sweep.
        table: its main table.
        figures: names of figures, the main one first.
        details: what only the sweep's folder knows; None for results from MLflow.
    """
    trials = once(results.trials)
    main = [*figures[:1]]
    missing = (results.header.trials or len(trials)) - len(trials)
    sections = [
        Section("", [Lines([_overview(trials, details, missing)])]),
        Section("Verdicts", _verdicts(table)),
        Section(_heading(results, table), [_grid(table), Lines([*table.caption, *table.note], are_small=True)]),
        Section("Figures", [*_about_figures(results), *map(Figure, main), *map(Figure, figures[1:])]),
        Section("What was fixed", _fixed(results, details)),
        Section("Failures", _failures(trials, details)),
        Section("Environment", _environment(details)),
        Section("Every trial", [_trials(results, trials, details)]),
    ]
    return [section for section in sections if section.blocks]


def _overview(trials: Sequence[PlacedTrial], details: Details | None, missing: int) -> str:
    statuses = Counter(trial.status for trial in trials)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    counts += f", {missing} not started" if missing else ""
    settings = counted(len({trial.setting_id for trial in trials}), "setting")
    seconds = sum(trial.seconds or 0 for trial in trials)
    devices = f" on {', '.join(details.devices)}" if details is not None and details.devices else ""
    times = f" Their training times add up to {duration_text(seconds)}{devices}." if seconds else ""
    return f"{counted(len(trials) + missing, 'trial')} of {settings}: {counts or 'none has started'}.{times}"


def _heading(results: Results, table: Table) -> str:
    what = {"median": "Medians", "mean": "Means"}[results.header.statistic]
    return f"{what}: {metric_name(results.header.metric)}" if len(table.columns) == 1 or table.columns_key else what


def _about_figures(results: Results) -> list[Block]:
    if results.header.statistic == "median":
        return []
    return [Lines(["Learning curves show medians, whatever the table does."], are_small=True)]


def _verdicts(table: Table) -> list[Block]:
    if not table.verdicts:
        return []
    about, *said = table.verdicts
    return [Lines(said, are_items=True), Lines([about], are_small=True)]


def _grid(table: Table) -> Grid:
    keys = [axis_name(key) for key in table.keys] or [""]
    rows = [[*(label or ("all",)), *cells] for label, cells in zip(table.labels, table.cells, strict=True)]
    bold = {
        (row, len(keys) + at) for row, found in enumerate(table.bold) for at, is_bold in enumerate(found) if is_bold
    }
    first, *others = table.columns or ("",)
    above = first if table.columns_key is None else f"{axis_name(table.columns_key)}: {first}"
    return Grid([*keys, above, *others], rows, labels=len(keys), bold=frozenset(bold))


def _fixed(results: Results, details: Details | None) -> list[Block]:
    options = [[key, plain_text(value)] for key, value in results.header.fixed.items()]
    for sweep, fixed in results.header.fixed_apart.items():
        options += [[f"{key} (in {sweep})", plain_text(value)] for key, value in fixed.items()]
    blocks: list[Block] = [Grid(["option", "value"], options, labels=2)] if options else []
    if details is not None and details.configuration:
        blocks.append(Code("The complete configuration of the first trial", details.configuration))
    if details is not None and details.sweep_file:
        blocks.append(Code("The sweep file", details.sweep_file))
    return blocks


def _failures(trials: Sequence[PlacedTrial], details: Details | None) -> list[Block]:
    rows = [
        [trial.trial_id, trial.status, f"{trial.epoch}", "" if details is None else details.messages[trial.trial_id]]
        for trial in trials
        if trial.status not in ("finished", "running")
    ]
    return [Grid(["trial", "ended as", "after epoch", "message"], rows, labels=4)] if rows else []


def _environment(details: Details | None) -> list[Block]:
    if details is None or not details.environment:
        return []
    rows = [[key, ", ".join(values)] for key, values in details.environment.items()]
    return [Grid(["", "value"], rows, labels=2)]


def _trials(results: Results, trials: Sequence[PlacedTrial], details: Details | None) -> Grid:
    header = results.header
    shown = [header.metric]
    shown += [name for name in ("validation/top1_error", "train/loss") if name in results.metrics and name not in shown]
    headings = ["trial", *header.axes, "seed", "status", "epoch", *shown, "training time"]
    rows = []
    for trial in trials:
        values = [trial.measured(name) for name in shown]
        rows.append(
            [
                trial.trial_id,
                *(value_text(trial.shown(axis)) for axis in header.axes),
                str(trial.seed),
                trial.status,
                str(trial.epoch),
                *(MISSING if v is None else number(v, name) for v, name in zip(values, shown, strict=True)),
                MISSING if trial.seconds is None else duration_text(trial.seconds),
            ]
        )
    base, runs = (None, None) if details is None else (details.trials, details.mlflow)
    links = {} if base is None else {(row, 0): f"{quote(base)}/{trial.trial_id}/" for row, trial in enumerate(trials)}
    if runs is not None:
        headings.append("MLflow")
        for row, trial in enumerate(trials):
            rows[row].append("run")
            links[row, len(headings) - 1] = runs + quote(f"tags.`wsnet.trial_id` = '{trial.trial_id}'", safe="")
    return Grid(headings, rows, labels=1 + len(header.axes), links=links)
