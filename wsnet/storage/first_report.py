"""What the first report on a complete sweep was about, `first_report.json`: whoever has seen it may not add seeds to
taste, so later reports say what was changed since."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from wsnet.storage.folder import Folder, StorageError
from wsnet.storage.manifest import Manifest

__all__ = ["FIRST_REPORT", "describe_changes", "note_first_report", "since_first_report"]

FIRST_REPORT = "first_report.json"
"""The note's file."""
_ENDED = ("finished", "diverged", "stopped", "failed")


def note_first_report(sweep: Folder, statuses: Mapping[str, str]) -> None:
    """Note what a report was about, if it is the first that was drawn after all trials of a sweep had ended.

    Args:
        sweep: the sweep's folder.
        statuses: trial_id to status, of the trials that have started.

    Raises:
        StorageError: the folder holds no sweep.
    """
    if sweep.exists(FIRST_REPORT):
        return
    manifest = Manifest.read(sweep)
    if manifest.trials and all(statuses.get(entry.trial_id) in _ENDED for entry in manifest.trials):
        date = datetime.now(UTC).isoformat(timespec="seconds")
        sweep.write(FIRST_REPORT, (json.dumps({"date": date, **_about(manifest)}, indent=1) + "\n").encode())


def since_first_report(sweep: Folder, manifest: Manifest) -> Manifest:
    """Add to a manifest's `report`, as `after_report`, what has changed since the first report on its sweep.

    That is `seeds` (those added), `removed` (seeds) and `compare_changed` (the comparisons, or the metric that they are
    about). The manifest is unchanged if nothing of it has, or if there has been no report.

    Args:
        sweep: the sweep's folder.
        manifest: of the sweep as it is now.

    Raises:
        StorageError: the note of the first report is damaged.
    """
    data = sweep.read(FIRST_REPORT)
    if data is None:
        return manifest
    try:
        then = json.loads(data)
        before = {int(seed) for seed in then["seeds"]}
        compared = (then["compare"], then["metric"])
    except (ValueError, KeyError, TypeError) as error:
        text = "is not the note of a report; if nothing was added to the sweep since its first report, delete it"
        raise StorageError(f"{sweep.location}/{FIRST_REPORT} {text} ({error!r})") from None
    now = _about(manifest)
    seeds = set(now["seeds"])
    changed = compared != (now["compare"], now["metric"])
    found = {"seeds": sorted(seeds - before), "removed": sorted(before - seeds), "compare_changed": changed}
    return replace(manifest, report={**manifest.report, "after_report": found}) if any(found.values()) else manifest


def describe_changes(manifest: Manifest) -> str | None:
    """What the changes since the first report mean for the sweep's comparisons, in a sentence.

    Args:
        manifest: as `since_first_report` returns it.

    Returns:
        the sentence; None if nothing has changed, or nothing is compared.
    """
    changes = manifest.report.get("after_report")
    if changes is None or "compare" not in manifest.report:
        return None
    lists = (("with new seeds", changes["seeds"]), ("without seeds", changes["removed"]))
    found = [f"{what} {', '.join(map(str, seeds))}" for what, seeds in lists if seeds]
    found += ["with other comparisons"] * changes["compare_changed"]
    return (
        f"a first report on this sweep has been drawn, so {' and '.join(found)} no comparison has a p-value; to have "
        "some, train all seeds as a new sweep, with another name in its file or another --storage"
    )


def _about(manifest: Manifest) -> dict[str, Any]:
    """What a report on this sweep is about, as it is read back from JSON."""
    compare = manifest.report.get("compare")
    about = {
        "seeds": sorted({entry.seed for entry in manifest.trials}),
        "metric": manifest.report.get("metric"),
        # As it is written: which rows it means, and how many, may grow with the sweep, and the correction with them.
        "compare": None if compare is None else compare["written"],
    }
    read: dict[str, Any] = json.loads(json.dumps(about))
    return read
