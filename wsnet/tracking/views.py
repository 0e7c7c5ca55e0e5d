"""A view of MLflow's run table that shows what a sweep is about: its axes, the seed, the reported metric.

MLflow's own table opens with no parameter and no metric. The form of a shared view is not documented: this is what the
UI of MLflow 3.17 reads. A later one that does not know it shows its own table, where columns can be chosen by hand.
"""

from wsnet.config.published import CASE
from wsnet.storage import Manifest
from wsnet.tracking.tags import dumps, final

__all__ = ["runs_page", "view_tag"]

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
