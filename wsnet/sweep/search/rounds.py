"""A sweep whose search makes suggestions: rounds of settings, each suggested from the results of all before."""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wsnet.config import Sweep
from wsnet.config.errors import ConfigError, Mistake, counted
from wsnet.config.reading.search_cells import Study
from wsnet.config.search import SuggestedConfig
from wsnet.storage import DamagedFile, Folder, Manifest, Suggestions, trial_directory
from wsnet.sweep.search.suggest import Result, suggest

if TYPE_CHECKING:
    from wsnet.storage import TrialEntry
    from wsnet.storage.trial_directory import Record

__all__ = ["read_results", "train_in_rounds"]


def train_in_rounds(
    read: Callable[[], tuple[Sweep, Sweep]],
    train: Callable[[Sweep, Sweep, bool], int],
    folder: Folder,
    console: Console,
) -> int:
    """Train what is known of a sweep, have more suggested, and so on, until every cell has all its settings.

    A round is over when all its trials are. So what is suggested does not depend on the order in which they end; and
    what was suggested is kept in the sweep's folder, so that a sweep that is continued trains the same settings.

    Args:
        read: reads the sweep file with the suggestions kept so far; returns the whole sweep and the part to train.
        train: trains the second argument, a part of the first; the third tells whether it is the last round. Returns
            the exit status.
        folder: the sweep's folder.
        console: where to print.

    Returns:
        the last exit status of `train`.

    Raises:
        ConfigError: Optuna is not installed.
    """
    if find_spec("optuna") is None:  # An environment of an earlier version; better said now than after a round.
        rule = "needs Optuna, which is not installed; run pip install -e . again"
        raise ConfigError([Mistake("search", "name", rule)])
    kept = Suggestions(folder)
    while True:
        whole, sweep = read()
        kept.write({study.name: study.points for study in sweep.studies})
        is_last = not any(study.missing for study in sweep.studies)
        status = train(whole, sweep, is_last)
        if is_last or status not in (0, 1):
            return status
        found = _suggested(sweep, folder)
        if not any(found.values()):
            return train(whole, sweep, True)
        kept.write({study.name: [*study.points, *found[study.name]] for study in sweep.studies})
        new, missing = sum(map(len, found.values())), sum(study.missing for study in sweep.studies)
        text = f"{sweep.config.search.name} suggests {counted(new, 'setting')} more; {missing - new} to come"
        console.rule(text, style="default")


def read_results(folder: Folder, manifest: Manifest, metric: str, study: Study) -> list[Result]:
    """The results of a study's settings, in their order.

    Args:
        folder: the sweep's folder.
        manifest: the sweep's manifest.
        metric: a metric of the validation split, lower is better.
        study: the study.
    """
    by_place: dict[str, list[TrialEntry]] = {}
    for entry in manifest.trials:
        for axes in entry.places:
            by_place.setdefault(_place(axes, manifest.axes), []).append(entry)
    return [
        _result(folder, by_place.get(_place(study.cell | point, manifest.axes), []), metric) for point in study.points
    ]


def _suggested(sweep: Sweep, folder: Folder) -> dict[str, list[dict[str, Any]]]:
    """Name of each study to its new settings; none for a study without any result."""
    search, select = sweep.config.search, sweep.config.report.select
    assert isinstance(search, SuggestedConfig) and select is not None
    manifest = Manifest.read(folder)
    found = {}
    for study in sweep.studies:
        results = read_results(folder, manifest, select.by, study)
        has_result = any(result.median is not None for result in results)
        found[study.name] = suggest(study, results, search) if study.missing and has_result else []
    return found


def _place(axes: dict[str, Any], keys: Sequence[str]) -> str:
    return json.dumps({key: axes[key] for key in keys if key in axes}, sort_keys=True)


def _result(folder: Folder, entries: "list[TrialEntry]", metric: str) -> Result:
    """The result of a setting, from its seeds that have one."""
    finals: list[float] = []
    stopped: list[list[Record]] = []
    for entry in entries:
        directory = trial_directory(folder, entry.trial_id)
        try:
            status, records = directory.status(), directory.records()
        except DamagedFile:  # The next start repairs it.
            continue
        how = "" if status is None else status.status
        if how == "diverged":
            finals.append(math.inf)
        elif how in ("finished", "stopped") and records:
            finals.append(_finite(records[-1].get(metric)))
            stopped += [records] if how == "stopped" else []
    median = statistics.median(finals) if finals else None
    return Result(median=median, stopped=_medians(stopped, metric) if stopped else None)


def _medians(seeds: "list[list[Record]]", metric: str) -> dict[int, float]:
    """Median over the seeds at each epoch that all of them have."""
    shortest = min(map(len, seeds))
    by_epoch = {
        int(record["epoch"]): [_finite(seed[i].get(metric)) for seed in seeds]
        for i, record in enumerate(seeds[0][:shortest])
    }
    return {epoch: statistics.median(values) for epoch, values in by_epoch.items()}


def _finite(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else math.inf
