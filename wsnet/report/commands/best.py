"""`--best`: the configuration of the best setting."""

import json

from wsnet.report import ReportError
from wsnet.report.results import PlacedTrial, Results
from wsnet.report.tables.arrange import Arrangement, arrange
from wsnet.report.tables.summaries import once, summary_of
from wsnet.storage import Folder, trial_directory
from wsnet.storage.seeds import higher_is_better, is_of_test

__all__ = ["best_configuration"]


def best_configuration(place: str, results: Results, asked: Arrangement, *, by: str | None) -> str:
    """The `trial.yaml` of the setting with the best median, as text, after comments that say why it was chosen.

    Args:
        place: the sweep's folder.
        results: of the sweep.
        asked: whose conditions the setting must fulfil.
        by: the metric that decides; None for that of `report.select`, or the error on the validation split.

    Raises:
        ReportError: the metric is of the test set, or no setting has a value.
    """
    select = results.header.select
    by = by or (select.by if select is not None else "validation/top1_error")
    if is_of_test(by):
        raise ReportError(f"--by must not be a metric of the test set, which is only for reporting, but got {by!r}")
    if all(trial.measured(by) is None for trial in results.trials):
        known = [name for name in results.metrics if "/" in name and not is_of_test(name)]
        rule = "--best needs a metric that was measured to choose by, not of the test set"
        raise ReportError(
            f"{rule}, but there is no {by!r}; --by takes {', '.join(known) or 'none, as nothing was measured'}"
        )
    trials = arrange(results.with_metric(by), asked)[0].trials
    settings: dict[str, list[PlacedTrial]] = {}
    for trial in once(trials):
        settings.setdefault(trial.setting_id, []).append(trial)
    sign = -1 if higher_is_better(by) else 1
    summaries = {setting: summary for setting, found in settings.items() if (summary := summary_of(found, by))}
    if not summaries:
        raise ReportError(f"no setting has a value of {by} yet")
    best = min(summaries, key=lambda setting: sign * summaries[setting].median)
    first, summary = settings[best][0], summaries[best]
    text = (trial_directory(Folder(place), first.trial_id).folder.read("trial.yaml") or b"").decode()
    why = f"# best of {len(summaries)} settings by median {by}: {summary.median:.4g} over {summary.n} seeds\n"
    values = ", ".join(f"{axis}={json.loads(value)}" for axis in first.axes if (value := first.shown(axis)) is not None)
    return f"{why}# {values}\n{text}"
