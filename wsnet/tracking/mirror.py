"""The thread that copies a sweep's directories to a tracker, such as MLflow. No trial ever waits for it."""

import threading
from collections.abc import Callable
from itertools import groupby

from wsnet.storage import Folder, Lease, Manifest, StorageLost
from wsnet.tracking.tracker import Tracker

__all__ = ["Mirror"]

_PAUSE = 0.5
"""Minimum seconds between two rounds, so that changes close together are uploaded together."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
"""Back-off after a failure, doubled each time, in seconds."""


class Mirror:
    """Mirrors a sweep into a tracker from a daemon thread.

    It compares the directories with the tracker's runs, so a new mirror fills the gaps that earlier ones left, without
    duplicates. It begins with all trials that have a directory.

    Of several starts of a sweep at once only one uploads, the one that holds the driver's lease: two would make each
    run twice. Another one takes over when that has ended.

    Args:
        sweep: the sweep's folder.
        manifest: the sweep's trials.
        tracker: what writes the runs.
        lease: the sweep's lease for drivers, which it gets if it is free; None if there can be no other start.
        waits: whether to upload nothing before `begin`, a change or `close`: bringing thousands of runs up to date
            would delay the first trial.
    """

    def __init__(
        self,
        sweep: Folder,
        manifest: Manifest,
        tracker: Tracker,
        *,
        lease: Lease | None = None,
        waits: bool = False,
    ) -> None:
        self._waits = waits
        self._lease = lease
        self._sweep, self._tracker = sweep, tracker
        self._known = {entry.trial_id for entry in manifest.trials}
        self._wake = threading.Condition()
        self._dirty: dict[str, int] = {}  # Number of changes by trial: shows whether one came during an upload.
        self._listed = False  # Whether the trials that existed at the start have been marked dirty.
        self._closing = self._abandoned = False
        self._trouble: str | None = None
        self._has_connected = False
        self._place = {entry.trial_id: place for place, entry in enumerate(manifest.trials)}
        self._settings = {entry.trial_id: entry.setting_id for entry in manifest.trials}
        self._thread = threading.Thread(target=self._run, name="wsnet-mirror", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """What is wrong, for the progress display; None while all is well."""
        return self._trouble

    @property
    def tracker(self) -> Tracker:
        """What writes the runs."""
        return self._tracker

    @property
    def has_connected(self) -> bool:
        """Whether the tracker has answered at least once."""
        return self._has_connected

    def begin(self) -> None:
        """Upload from now on. Returns at once."""
        with self._wake:
            self._waits = False
            self._wake.notify()

    def changed(self, trial_id: str) -> None:
        """Report that a trial's directory has changed. Returns at once."""
        assert trial_id in self._known, f"trial {trial_id!r} is not in the manifest"
        with self._wake:
            self._dirty[trial_id] = self._dirty.get(trial_id, 0) + 1
            self._wake.notify()

    @property
    def waiting(self) -> int:
        """Number of trials whose last state the tracker does not have yet."""
        with self._wake:
            return len(self._dirty if self._listed else self._known)

    def close(self, timeout: float = 5.0, *, while_progress: bool = False) -> list[str]:
        """Upload what is left.

        Args:
            timeout: seconds after which to give up.
            while_progress: give up only when no trial has been uploaded for that long.

        Returns:
            ids of the trials whose last state the tracker does not have; the next mirror will find them.
        """
        with self._wake:
            self._closing = True
            self._listed &= self._lease is None  # Another start may have trained trials that this one did not.
            self._wake.notify()
        before = self.waiting
        self._thread.join(timeout)
        while while_progress and self._thread.is_alive() and (now := self.waiting) < before:
            before = now
            self._thread.join(timeout)
        with self._wake:
            self._abandoned = True
            return sorted(self._dirty if self._listed else self._known)

    def _run(self) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._closing or self._dirty or not self._waits)
        with self._tracker:
            is_connected = False
            wait = 0.0
            while self._rest(wait):
                try:
                    if self._lease is not None and not self._lease.try_acquire():
                        if self._closing:
                            self._leave_to_other()
                        wait = _FIRST_WAIT
                        continue
                    self._list()
                    if self._dirty or not is_connected:
                        if not is_connected:
                            self._tracker.connect()
                            is_connected = self._has_connected = True
                        self._upload_changed()
                    self._trouble, wait = None, 0.0
                except Exception as error:
                    # No error stops the training; once the tracker answers again, what it holds is queried anew.
                    self._trouble, is_connected = self._describe(error), False
                    if self._closing:
                        return
                    wait = min(max(2 * wait, _FIRST_WAIT), _LONGEST_WAIT)

    def _rest(self, wait: float) -> bool:
        """Sleep until there is work and the back-off is over; False once the mirror is closing and has no work left."""
        with self._wake:
            if wait:
                self._wake.wait_for(lambda: self._closing, wait)
            elif self._listed:
                self._wake.wait_for(lambda: self._closing, _PAUSE)
                self._wake.wait_for(lambda: self._closing or self._dirty)
            return not self._abandoned and (not self._closing or bool(self._dirty) or not self._listed)

    def _leave_to_other(self) -> None:
        """Regard everything as uploaded: the other start does that, since it runs every trial of this one, too."""
        with self._wake:
            self._listed, self._dirty = True, {}

    def _list(self) -> None:
        if self._listed:
            return
        there = self._known.intersection((self._sweep / "trials").names())
        with self._wake:
            self._listed = True
            self._dirty |= {trial_id: self._dirty.get(trial_id, 0) + 1 for trial_id in there}

    def _upload_changed(self) -> None:
        """Upload every trial that has changed, setting by setting, and each setting after its trials.

        One that cannot be read does not hold up the others.
        """
        failures: list[Exception] = []
        changed = sorted(self._dirty.copy().items(), key=lambda item: self._place[item[0]])
        for setting_id, group in groupby(changed, key=lambda item: self._settings[item[0]]):
            uploaded: list[tuple[str, int]] = []
            for trial in group:
                if self._abandoned:
                    return
                if self._try(self._tracker.upload, trial[0], failures):
                    self._forget(uploaded)
                    uploaded = [trial]
            # The last trial stands for its setting: it is done only when that is.
            if uploaded and self._try(self._tracker.upload_setting, setting_id, failures):
                self._forget(uploaded)
        if failures:
            raise failures[-1]

    def _try(self, upload: Callable[[str], None], name: str, failures: list[Exception]) -> bool:
        """Upload one trial or setting; whether that went well. Raises if the tracker does not answer."""
        try:
            upload(name)
        except Exception as error:
            self._tracker.check()
            failures.append(error)
            return False
        return True

    def _forget(self, uploaded: list[tuple[str, int]]) -> None:
        """Mark trials as uploaded, unless they have changed since."""
        with self._wake:
            for trial_id, count in uploaded:
                if self._dirty[trial_id] == count:
                    del self._dirty[trial_id]

    def _describe(self, error: Exception) -> str:
        waiting = self.waiting
        if isinstance(error, StorageLost):
            return str(error)
        return f"{self._tracker.reason(error)}; {waiting} trial{'s wait' if waiting != 1 else ' waits'}"
