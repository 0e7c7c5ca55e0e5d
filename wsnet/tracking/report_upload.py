"""Uploading a sweep's report to a tracker."""

import threading
from collections.abc import Sequence
from fnmatch import fnmatch

from wsnet.storage import Folder
from wsnet.tracking.tracker import Tracker

__all__ = ["report_files", "upload_report"]

_FILES = ("report*.html", "report*.md", "table*.*", "trials.*", "figure*.*")
"""Names of a report's files, as patterns."""


def report_files(folder: Folder) -> list[str]:
    """Names of the report's files in a sweep's folder."""
    return [name for name in folder.names() if any(fnmatch(name, pattern) for pattern in _FILES)]


def upload_report(tracker: Tracker, files: Sequence[str], *, timeout: float = 30.0) -> str | None:
    """Upload a sweep's report. Whatever goes wrong is returned, not raised: a report on disk is complete without it.

    Args:
        tracker: which has the sweep's trials.
        files: names of files in the sweep's folder, as of `report_files`.
        timeout: seconds after which to go on without the rest.

    Returns:
        what went wrong, in one line; None if all files are uploaded.
    """
    trouble: list[str | None] = []

    def run() -> None:
        try:
            with tracker:
                tracker.upload_report(files)
            trouble.append(None)
        except Exception as error:
            trouble.append(tracker.reason(error))

    thread = threading.Thread(target=run, name="wsnet-report", daemon=True)
    thread.start()
    thread.join(timeout)
    return trouble[0] if trouble else tracker.reason(TimeoutError(f"no answer within {timeout:g} s"))
