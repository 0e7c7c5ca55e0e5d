"""Saved views of MLflow's run table: settings by their median, a chart of them, and trials grouped by setting.

MLflow keeps a view as an experiment tag, `mlflow.sharedViewState.KEY`, whose format is not documented; this one is that
of MLflow 3.17. docs/mlflow.md says how to get the same by hand.
"""

import base64
import json
import zlib
from typing import Any

from wsnet.config.published import CASE
from wsnet.storage import Manifest
from wsnet.storage.seeds import higher_is_better, validation_of
from wsnet.tracking import tags
from wsnet.tracking.client import TrackingError, connect, fail_fast, reason, without_password
from wsnet.tracking.setting_metrics import CURVE, MEDIAN, curve, high, low, median, number, shown_metrics

__all__ = ["address", "pages", "runs_page", "view_links", "view_state", "view_tags"]

_SETTINGS, _CHART, _TRIALS = "wsnet", "wsnet-chart", "wsnet-trials"
"""Keys of the views in their tags and addresses. Earlier versions had the first one alone."""

_TITLES = {_SETTINGS: "settings by median", _CHART: "settings as a chart", _TRIALS: "trials by setting"}

_NARROWEST, _WIDEST_AXIS = 70, 130
"""Widths of columns in pixels. The names of axes may be truncated, their values are short."""

_CARDS = {"columns": 2, "cardHeight": 420}
"""Size of the charts: two side by side, each with space for the names of some twenty settings."""

_MOST_RUNS = 100
"""Number of settings in one bar chart."""


def view_tags(manifest: Manifest, *, has_validation: bool) -> dict[str, str]:
    """The experiment tags that hold the three views.

    Args:
        manifest: the sweep's.
        has_validation: whether its trials have measured the metric of the validation split that settings are selected
            by. Without it, settings are in the order of the sweep, never sorted by a test metric.
    """
    deciding, metric = shown_metrics(manifest.report)
    by = deciding if has_validation else metric if validation_of(metric) is None else None
    shown = [name for name in (deciding if has_validation else None, metric) if name is not None]
    states = {
        _SETTINGS: _settings(manifest, shown, by),
        _CHART: _settings(manifest, shown, by) | _charts(shown),
        _TRIALS: _trials(manifest, shown),
    }
    return {f"mlflow.sharedViewState.{key}": _named(_TITLES[key], state) for key, state in states.items()}


def runs_page(experiment_id: str, key: str = _SETTINGS) -> str:
    """The page of a view, to be appended to the UI's address."""
    chart = "&compareRunsMode=CHART" if key == _CHART else ""
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={key}{chart}"


def pages(experiment_id: str) -> list[tuple[str, str]]:
    """Title and page of each view."""
    return [(title, runs_page(experiment_id, key)) for key, title in _TITLES.items()]


def view_links(uri: str, experiment: str) -> list[tuple[str, str]]:
    """Title and whole address of each view of a sweep.

    Args:
        uri: tracking URI. For a database the addresses are those of `mlflow ui --backend-store-uri URI`.
        experiment: the sweep's name.

    Raises:
        TrackingError: nothing answers at the URI, or it has no such experiment.
    """
    with fail_fast():
        try:
            found = connect(uri).get_experiment_by_name(experiment)
        except Exception as error:
            raise TrackingError(reason(uri, error)) from error
    if found is None:
        raise TrackingError(f"no experiment {experiment!r} in {without_password(uri)}")
    return [(title, f"{address(uri)}/{page}") for title, page in pages(found.experiment_id)]


def address(uri: str) -> str:
    """Where the UI of a tracking URI is: the server itself, or what `mlflow ui` starts for a database."""
    return without_password(uri).rstrip("/") if uri.startswith(("http://", "https://")) else "http://127.0.0.1:5000"


def view_state(tag: str) -> dict[str, Any]:
    """The state of a view, from its tag."""
    packed = json.loads(tag)["state"].removeprefix("deflate;")
    return dict(json.loads(zlib.decompress(base64.b64decode(packed))))


def _settings(manifest: Manifest, shown: list[str], by: str | None) -> dict[str, Any]:
    """A row for each setting: the medians, then how far the seeds of the last metric are apart, then the axes."""
    reported = shown[-1]
    metrics = [*map(median, shown), low(reported), high(reported), number(reported)]
    columns = [*(f"metrics.`{name}`" for name in metrics), *_axes(manifest)]
    if by is None:
        return _table(columns, tags.SETTING, f"tags.`{tags.ORDER}`")
    return _table(columns, tags.SETTING, f"metrics.`{median(by)}`", ascending=not higher_is_better(by))


def _trials(manifest: Manifest, shown: list[str]) -> dict[str, Any]:
    """A row for each setting that opens to those of its trials. MLflow shows averages in it: it has no median."""
    logged = [name.replace("accuracy", "error") for name in shown]  # Trials have errors only.
    columns = [*(f"metrics.`{tags.final(name)}`" for name in logged), "params.`seed`", *_axes(manifest)]
    return {
        **_table(columns, tags.TRIAL, f"tags.`{tags.GROUP}`"),
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": tags.GROUP}]},
    }


def _table(columns: list[str], kind: str, order: str, *, ascending: bool = True) -> dict[str, Any]:
    """A table of all runs of a kind that are part of the sweep, sorted by `order`."""
    return {
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {column: _width(column, is_sorted=column == order) for column in columns},
        "orderByKey": order,
        "orderByAsc": ascending,
        "searchFilter": f"tags.`{tags.KIND}` = '{kind}' AND tags.`{tags.IN_SWEEP}` = 'true'",
    }


def _width(column: str, *, is_sorted: bool) -> int:
    """Pixels for a column, as its header needs them: MLflow's default of 100 truncates `median/test_top1_error`."""
    kind, name = column.split(".", 1)
    needed = max(_NARROWEST, 26 + 6 * len(name.strip("`"))) + (24 if is_sorted else 0)  # For the arrow.
    return needed if kind == "metrics" else min(_WIDEST_AXIS, needed)


def _axes(manifest: Manifest) -> list[str]:
    return [f"tags.`{key}`" if key == CASE else f"params.`{key}`" for key in manifest.axes]


def _charts(shown: list[str]) -> dict[str, Any]:
    """Two sections of charts: a bar for each setting's median, and a line through its medians at every epoch."""
    bars = [{"type": "BAR", "metricKey": median(name), **_chart(MEDIAN, name)} for name in shown]
    lines = [{"type": "LINE", "metricKey": curve(name), **_LINE, **_chart(CURVE, name)} for name in shown]
    return {
        "compareRunCharts": [*bars, *lines],
        "compareRunSections": [
            {"uuid": name, "name": name, "display": True, "isReordered": True, **_CARDS} for name in (MEDIAN, CURVE)
        ],
        "isAccordionReordered": True,
        "runsHiddenMode": "SHOW_ALL",
    }


def _chart(section: str, metric: str) -> dict[str, Any]:
    return {
        "uuid": f"{section}-{metric}",
        "metricSectionId": section,
        "displayName": metric,
        "runsCountToCompare": _MOST_RUNS,
        "deleted": False,
        "isGenerated": True,
    }


_LINE: dict[str, Any] = {
    "lineSmoothness": 0,
    "xAxisKey": "step",
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "range": {},
    "selectedXAxisMetricKey": "",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "ignoreOutliers": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


def _named(title: str, state: dict[str, Any]) -> str:
    """A view's tag as MLflow writes it when a user saves a view: with its name, by which the UI lists it."""
    packed = base64.b64encode(zlib.compress(json.dumps(state, ensure_ascii=False).encode())).decode()
    return json.dumps({"name": title, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"}, ensure_ascii=False)
