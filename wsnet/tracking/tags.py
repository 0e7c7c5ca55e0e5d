"""A sweep as MLflow holds it: tags of the experiment and its runs, parameters, and the view of the run table."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from wsnet.config.published import CASE
from wsnet.storage import Manifest, TrialEntry

__all__ = [
    "experiment_tags",
    "final",
    "manifest_from_tags",
    "parameters",
    "runs_page",
    "trial_from_tags",
    "trial_tags",
    "view_tag",
]

KIND, TRIAL_ID, SETTING_ID, SEED = "wsnet.kind", "wsnet.trial_id", "wsnet.setting_id", "wsnet.seed"
SWEEP, REVISION, STATUS, MESSAGE = "wsnet.sweep", "wsnet.revision", "wsnet.status", "wsnet.message"
AXES, ALSO, ORDER, IN_SWEEP, GROUP = "wsnet.axes", "wsnet.also", "wsnet.order", "wsnet.in_sweep", "setting"
QUESTION, REPORT, SEEDS, COLUMN_VALUES = "wsnet.question", "wsnet.report", "wsnet.seeds", "wsnet.column_values"

EPOCH = "epoch"
"""The metric whose value is its own step: the last epoch that a run has."""

FINAL = "final/"
"""Prefix of a trial's last values, logged once more at step 0, where MLflow's charts draw them as bars."""


def experiment_tags(manifest: Manifest) -> dict[str, str]:
    """What a report needs to know about a sweep besides its trials.

    The number of seeds and the values on the column axis follow from the manifest, but not from the runs: only trials
    that have started have one.
    """
    return {
        QUESTION: manifest.question,
        REPORT: _dumps(manifest.report),
        AXES: _dumps(manifest.axes),
        SEEDS: str(manifest.seeds),
        COLUMN_VALUES: _dumps(manifest.column_values),
    }


def trial_tags(manifest: Manifest, entry: TrialEntry, order: int) -> dict[str, str]:
    """What identifies one trial of a sweep; `order` is its place in the manifest."""
    return {
        KIND: "trial",
        TRIAL_ID: entry.trial_id,
        SETTING_ID: entry.setting_id,
        SEED: str(entry.seed),
        SWEEP: manifest.name,
        AXES: _dumps(entry.axes),
        ALSO: _dumps(entry.also) if entry.also else "",
        ORDER: str(order),
        IN_SWEEP: "true",
        # Runs are grouped by this one short tag: groups of several parameters are hard to read in MLflow's table.
        GROUP: re.sub(rf"-s{entry.seed}$", "", entry.name),
        # A case's label is not a parameter; as a tag it can be used to group charts.
        **({CASE: str(entry.axes[CASE])} if CASE in entry.axes else {}),
    }


def manifest_from_tags(name: str, tags: Mapping[str, str], trials: list[TrialEntry]) -> Manifest:
    """The inverse of `experiment_tags`, with the trials that MLflow has."""
    return Manifest(
        name=name,
        question=tags.get(QUESTION, ""),
        report=json.loads(tags[REPORT]),
        axes=json.loads(tags[AXES]),
        trials=trials,
    )


def trial_from_tags(name: str, tags: Mapping[str, str]) -> TrialEntry:
    """The inverse of `trial_tags`."""
    return TrialEntry(
        trial_id=tags[TRIAL_ID],
        setting_id=tags[SETTING_ID],
        seed=int(tags[SEED]),
        name=name,
        axes=json.loads(tags[AXES]),
        also=json.loads(tags.get(ALSO) or "[]"),
    )


def final(metric: str) -> str:
    """Name of a metric's last value: `test/top1_error` gives `final/test_top1_error`."""
    return FINAL + metric.replace("/", "_")


def parameters(text: str) -> dict[str, str]:
    """The text of a `trial.yaml` (YAML 1.2) as parameters."""
    return _flatten(YAML(typ="safe", pure=True).load(text) or {})


def _flatten(tree: Any, prefix: str = "") -> dict[str, str]:
    """Nested mappings as MLflow's parameters, which are dotted keys to text: `{"model.norm.name": "group"}`."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree if isinstance(tree, str) else _dumps(tree)} if prefix else {}
    flat: dict[str, str] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


_VIEW = "wsnet"
"""Name of the view in its tag and in the address of its page."""

_PARAMETER_WIDTH, _METRIC_WIDTH = 130, 180
"""Width of a column in pixels: MLflow's default of 100 truncates `final/test_top1_error`."""


def view_tag(manifest: Manifest) -> dict[str, str]:
    """The experiment tag with the view of the run table: the axes and the reported metric, sorted by the latter."""
    metric = f"metrics.`{final(manifest.report['metric'])}`"
    shown = [metric, *(f"metrics.`{final(name)}`" for name in ("validation/top1_error", "train/loss"))]
    axes = (f"tags.`{key}`" if key == CASE else f"params.`{key}`" for key in manifest.axes)
    columns = list(dict.fromkeys([*axes, "params.`seed`", *shown]))
    state = {
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {column: _METRIC_WIDTH if column in shown else _PARAMETER_WIDTH for column in columns},
        "orderByKey": metric,
        "orderByAsc": not manifest.report["metric"].endswith("accuracy"),
        "searchFilter": "",
    }
    return {f"mlflow.sharedViewState.{_VIEW}": _dumps(state)}


def runs_page(experiment_id: str) -> str:
    """The page with the view of `view_tag`, to be appended to the UI's address."""
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={_VIEW}"


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
