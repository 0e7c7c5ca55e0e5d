"""The runs of an experiment that mirror trials."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wsnet.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["trial_runs"]


def trial_runs(client: "MlflowClient", experiment_id: str) -> tuple[dict[str, "Run"], list["Run"]]:
    """An experiment's runs by trial, the fullest of each; and doubles of those."""
    runs: dict[str, Run] = {}
    doubles: list[Run] = []
    for run in _search(client, experiment_id):
        trial_id = run.data.tags[tags.TRIAL_ID]
        other = runs.setdefault(trial_id, run)
        if other is not run:
            worse, runs[trial_id] = sorted((other, run), key=lambda each: each.data.metrics.get(tags.EPOCH, 0))
            doubles.append(worse)
    return runs, doubles


def _search(client: "MlflowClient", experiment_id: str) -> Iterator["Run"]:
    token = None
    while True:
        page = client.search_runs([experiment_id], f"tags.`{tags.KIND}` = 'trial'", max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
