"""What a run in W&B says about its trial. Pure functions, which do not need wandb."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from wsnet.config.published import CASE
from wsnet.storage import Manifest, Status, TrialEntry
from wsnet.storage.trial_directory import LAYERS, TIME, Record
from wsnet.tracking import tags

__all__ = ["configuration", "description", "exit_code", "logged", "report_description", "state_of", "summary"]

_LONGEST_NAME, _LONGEST_TAG = 128, 64
"""W&B's limits, in characters."""


def description(manifest: Manifest, entry: TrialEntry) -> dict[str, Any]:
    """Arguments of `wandb.init` that identify a trial's run and place it in the sweep.

    The id is the trial's, so that there can be no second run of it in a project.
    """
    return {
        "id": entry.trial_id,
        "name": entry.name[:_LONGEST_NAME],
        "group": re.sub(rf"-s{entry.seed}$", "", entry.name)[:_LONGEST_NAME],
        "job_type": "trial",
        "tags": [manifest.name[:_LONGEST_TAG]],
    }


def report_description(manifest: Manifest) -> dict[str, Any]:
    """Arguments of `wandb.init` for the run with the sweep's report."""
    return {
        "id": f"report-{manifest.name}",
        "name": f"report of {manifest.name}"[:_LONGEST_NAME],
        "job_type": "report",
        "tags": [manifest.name[:_LONGEST_TAG]],
        "notes": manifest.question,
    }


def configuration(manifest: Manifest, entry: TrialEntry, text: str, revision: str | None) -> dict[str, Any]:
    """A run's config: the whole configuration, what varies in the sweep, and where the trial belongs.

    Args:
        manifest: the sweep's.
        entry: the trial.
        text: of its `trial.yaml`.
        revision: source revision.
    """
    whole: dict[str, Any] = YAML(typ="safe", pure=True).load(text) or {}
    belongs = {
        "sweep": manifest.name,
        "question": manifest.question,
        "setting_id": entry.setting_id,
        "trial_id": entry.trial_id,
        "revision": revision,
    }
    return {**whole, "varied": _varied(entry), "wsnet": {key: value for key, value in belongs.items() if value}}


def _varied(entry: TrialEntry) -> dict[str, Any]:
    """The values on the axes, nested as in the configuration; W&B shows `varied.model.norm.name`."""
    # A setting that is at several places of the sweep has all its values of an axis, as text: `8, 64`.
    values: Mapping[str, Any] = tags.varied(entry) if entry.also else entry.axes
    nested: dict[str, Any] = {}
    for key, value in values.items():
        if value is None:
            continue
        *above, last = key.split(".")
        level = nested
        for name in above:
            inner = level.setdefault(name, {})
            level = inner if isinstance(inner, dict) else level  # An axis of whole mappings can be above this one.
        level[last] = value
    if CASE in entry.axes:
        nested[CASE] = entry.axes[CASE]
    return nested


def logged(record: Record) -> dict[str, float]:
    """What is logged of an epoch: all but the measurements of layers, hundreds of charts that would hide the others."""
    return {key: float(value) for key, value in record.items() if not key.startswith(LAYERS)}


def summary(status: Status, records: list[Record]) -> dict[str, Any]:
    """The final values of a run: how the trial ended, and the last epoch's results if it is never run again."""
    last = records[-1] if status.is_final and records else {}
    results = {key: value for key, value in last.items() if "/" in key and not key.startswith((TIME, LAYERS))}
    return {**results, "status": status.status, "message": status.message}


def exit_code(status: Status) -> int:
    """1, which W&B shows as failed, for a trial that crashed or diverged."""
    return 1 if status.status in ("failed", "diverged") else 0


def state_of(*parts: Any) -> str:
    """A short hash of what a run shows; one that is unchanged need not be uploaded again."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
