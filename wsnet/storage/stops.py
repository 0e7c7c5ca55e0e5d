"""What the user has stopped in a sweep: an empty file `stops/ID` in its folder for each stopped setting or trial.

Each is created and deleted in one call to the filesystem, so that no two commands disturb each other, on any storage.
"""

from collections.abc import Iterable

from wsnet.storage.folder import DamagedFile, Folder
from wsnet.storage.trial_directory import STOPPED_BY_USER, Status, TrialDirectory

__all__ = ["Stops", "hold_back", "mark_stopped"]


class Stops:
    """The settings and trials of a sweep that stay stopped until `retry`.

    Args:
        sweep: the sweep's folder.
    """

    def __init__(self, sweep: Folder) -> None:
        self._folder = sweep / "stops"

    def ids(self) -> set[str]:
        """Every stopped setting_id and trial_id."""
        return set(self._folder.names())

    def has_any(self, ids: Iterable[str]) -> bool:
        """Whether one of these settings or trials is stopped."""
        return any(self._folder.existing(list(ids)))

    def add(self, name: str) -> None:
        """Stop a setting or a trial, by its id."""
        self._folder.write(name, b"")

    def remove(self, name: str) -> None:
        """Take back a stop, if there is one."""
        self._folder.delete(name)


def hold_back(directory: TrialDirectory) -> None:
    """Record in a stopped trial's status that the user has stopped it.

    A trial that was never started has no status, and gets none; a running one records its own end.
    """
    if directory.folder.exists("status.json"):
        with directory.folder.try_lock() as is_ours:
            if is_ours:
                mark_stopped(directory)


def mark_stopped(directory: TrialDirectory) -> bool:
    """Record that the user has stopped a trial, unless it has ended; returns whether it is stopped now.

    Lock its folder before.
    """
    try:
        status, records = directory.status(), directory.records()
    except DamagedFile:  # The start after `retry` repairs it.
        return True
    if status is not None and status.is_final:
        return False
    if status is not None:
        directory.write_status(Status(status="stopped", epoch=len(records), message=STOPPED_BY_USER))
    return True
