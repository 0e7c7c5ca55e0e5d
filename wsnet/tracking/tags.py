"""What a sweep and its trials are called in MLflow: tags, parameters, and the view of the run table."""

import json
import re
from typing import Any

from ruamel.yaml import YAML

from wsnet.config.published import CASE
from wsnet.storage import Manifest, TrialEntry
from wsnet.tracking import tags

__all__ = ["experiment_tags", "flatten", "parameters", "runs_page", "trial_tags", "view_tag"]

KIND, TRIAL_ID, SETTING_ID, SEED = "wsnet.kind", "wsnet.trial_id", "wsnet.setting_id", "wsnet.seed"
SWEEP, REVISION, STATUS, MESSAGE = "wsnet.sweep", "wsnet.revision", "wsnet.status", "wsnet.message"
AXES, ALSO, ORDER, IN_SWEEP, GROUP = "wsnet.axes", "wsnet.also", "wsnet.order", "wsnet.in_sweep", "setting"
QUESTION, REPORT, SEEDS, COLUMN_VALUES = "wsnet.question", "wsnet.report", "wsnet.seeds", "wsnet.column_values"

EPOCH = "epoch"
"""The metric whose value is its own step: how far a run is mirrored."""

TIME, FINAL = "time/", "final/"
"""Metrics of speed; and a trial's last values once more at step 0, where MLflow's charts draw them as bars."""


def experiment_tags(manifest: Manifest) -> dict[str, str]:
    """What a report needs to know of a sweep beside its trials."""
    seeds: dict[str, int] = {}
    for entry in manifest.trials:
        seeds[entry.setting_id] = seeds.get(entry.setting_id, 0) + 1
    columns = manifest.report.get("columns")
    values = {dumps(at[columns]): None for entry in manifest.trials for at in entry.places if columns in at}
    return {
        QUESTION: manifest.question,
        REPORT: dumps(manifest.report),
        AXES: dumps(manifest.axes),
        SEEDS: str(max(seeds.values(), default=0)),
        # A column whose first trial has not started must still stand where the sweep file has it.
        COLUMN_VALUES: dumps([json.loads(value) for value in values]),
    }


def trial_tags(manifest: Manifest, entry: TrialEntry, order: int) -> dict[str, str]:
    """What identifies one trial of a sweep; `order` is its place in the manifest."""
    return {
        KIND: "trial",
        TRIAL_ID: entry.trial_id,
        SETTING_ID: entry.setting_id,
        SEED: str(entry.seed),
        SWEEP: manifest.name,
        AXES: dumps(entry.axes),
        ALSO: dumps(entry.also) if entry.also else "",
        ORDER: str(order),
        IN_SWEEP: "true",
        # MLflow's table groups by one short tag legibly, by several parameters not.
        GROUP: re.sub(rf"-s{entry.seed}$", "", entry.name),
        # A label is no parameter, and a chart can group by it.
        **({CASE: str(entry.axes[CASE])} if CASE in entry.axes else {}),
    }


def final(metric: str) -> str:
    """Name of a metric's last value: `test/top1_error` gives `final/test_top1_error`."""
    return FINAL + metric.replace("/", "_")


def dumps(value: Any) -> str:
    """JSON text, the same for the same value wherever it comes from."""
    return json.dumps(value, ensure_ascii=False)


def parameters(text: str) -> dict[str, str]:
    """The text of a `trial.yaml` (YAML 1.2) as parameters."""
    return flatten(YAML(typ="safe", pure=True).load(text) or {})


def flatten(tree: Any, prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys with text, as MLflow's parameters are: `{"model.norm.name": "group"}`."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree if isinstance(tree, str) else tags.dumps(tree)} if prefix else {}
    flat: dict[str, str] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


_KEY = "wsnet"
_PARAMETER_WIDTH, _METRIC_WIDTH = 130, 180
"""Pixels of a column: MLflow's own 100 cut `final/test_top1_error` off."""


def view_tag(manifest: Manifest) -> dict[str, str]:
    """The experiment tag that holds the view."""
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
    return {f"mlflow.sharedViewState.{_KEY}": dumps(state)}


def runs_page(experiment_id: str) -> str:
    """The page of that view, to be put behind the UI's address."""
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={_KEY}"
