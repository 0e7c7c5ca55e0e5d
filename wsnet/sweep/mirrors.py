"""The copies of a sweep in MLflow and, on request, in W&B: made while it trains and completed at its end."""

import argparse
import sys
from typing import TYPE_CHECKING

from wsnet.config.errors import counted
from wsnet.sweep.signals import heeded
from wsnet.tracking import (
    Mirror,
    MLflow,
    Tracker,
    WandB,
    WandbProject,
    check_tracking_uri,
    default_tracking_uri,
    report_files,
    wandb_project,
)
from wsnet.tracking import upload_report as upload

if TYPE_CHECKING:
    from rich.console import Console

    from wsnet.storage import Folder, Lease, Manifest

__all__ = ["Mirrors", "check_trackers", "make_trackers"]

_INTERRUPTED_SECONDS = 5.0
"""Seconds to wait for each tracker after Ctrl-C."""


def check_trackers(arguments: argparse.Namespace, folder: "Folder") -> WandbProject | None:
    """Refuse what cannot be right about the trackers, before anything starts.

    Args:
        arguments: the command line's options.
        folder: the sweep's folder.

    Returns:
        the project of --wandb.

    Raises:
        StorageError: MLflow's default database cannot be in the folder.
        TrackingError: saying what is wrong.
    """
    if arguments.tracking_uri is None:
        default_tracking_uri(folder)
    else:
        check_tracking_uri(arguments.tracking_uri)
    return None if arguments.wandb is None else wandb_project(arguments.wandb, folder)


def make_trackers(
    uri: str | None, project: WandbProject | None, folder: "Folder", manifest: "Manifest", revision: str | None
) -> list[Tracker]:
    """The trackers that the command line asks for.

    Args:
        uri: MLflow's tracking URI; None for the database in the sweep's folder.
        project: W&B's project, if it is asked for.
        folder: the sweep's folder.
        manifest: the sweep's trials.
        revision: source revision.
    """
    trackers: list[Tracker] = [MLflow(folder, manifest, uri=uri or default_tracking_uri(folder), revision=revision)]
    if project is not None:
        trackers.append(WandB(folder, manifest, project, revision=revision))
    return trackers


class Mirrors:
    """The mirrors of a sweep, one for each tracker. None uploads before `begin`.

    Args:
        trackers: where to copy the sweep to.
        folder: the sweep's folder.
        manifest: the sweep's trials.
        lease: the sweep's lease for drivers.
    """

    def __init__(self, trackers: list[Tracker], folder: "Folder", manifest: "Manifest", lease: "Lease") -> None:
        self._folder = folder
        self._mirrors = [Mirror(folder, manifest, tracker, lease=lease, waits=True) for tracker in trackers]
        self._complete: list[Mirror] = []

    def begin(self) -> None:
        """Upload from now on."""
        for mirror in self._mirrors:
            mirror.begin()

    def changed(self, trial_id: str) -> None:
        """Report that a trial's directory has changed."""
        for mirror in self._mirrors:
            mirror.changed(trial_id)

    def trouble(self) -> str | None:
        """What is wrong, in one line; None while all is well."""
        return "; ".join(filter(None, (mirror.trouble for mirror in self._mirrors))) or None

    def close(self, console: "Console", *, ended: bool) -> list[str]:
        """Upload what is left.

        Args:
            console: where the wait is shown.
            ended: whether the sweep has come to its end; otherwise the rest is left to the next start after seconds.

        Returns:
            a line for each tracker that lacks something.
        """
        lacks = []
        for mirror in self._mirrors:
            left = _upload_rest(mirror, console) if ended else mirror.close(_INTERRUPTED_SECONDS)
            if not left:
                self._complete.append(mirror)
                continue
            name, place = mirror.tracker.name, mirror.tracker.place
            verb = "is" if len(left) == 1 else "are"
            trouble = mirror.trouble or f"{counted(len(left), 'trial')} {verb} not in {place} yet"
            rest = f"the results in the sweep's folder are complete; the next start will bring {name} up to date"
            lacks.append(f"tracking: {trouble}; {rest}")
        return lacks

    def upload_report(self, *, ended: bool) -> None:
        """Upload the report to each tracker that has all trials, unless that takes longer or until Ctrl-C."""
        for mirror in self._complete:
            if not mirror.has_connected:
                continue
            tracker = mirror.tracker
            timeout = tracker.patience if ended else _INTERRUPTED_SECONDS
            try:
                trouble = upload(tracker, report_files(self._folder), timeout=timeout)
            except KeyboardInterrupt:
                heeded()
                trouble = "interrupted"
            if trouble is not None:
                rest = f"the report is in the sweep's folder, but not in {tracker.name}"
                print(f"tracking: {trouble}; {rest}", file=sys.stderr)

    def lines(self) -> list[str]:
        """What to print at the end about where the runs are."""
        return [line for mirror in self._mirrors for line in mirror.tracker.lines()]


def _upload_rest(mirror: Mirror, console: "Console") -> list[str]:
    """Wait for the uploads while they progress, or until Ctrl-C; returns the trials that are not there."""
    try:
        left, name = counted(mirror.waiting, "trial"), mirror.tracker.name
        with console.status(f"uploading to {name}: {left} to go (Ctrl-C leaves the rest to the next start)"):
            return mirror.close(mirror.tracker.patience, while_progress=True)
    except KeyboardInterrupt:
        heeded()
        return mirror.close(0)
