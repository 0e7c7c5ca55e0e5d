"""The thread that keeps MLflow like the sweep's directories. Nobody ever waits for it."""

import threading

from wsnet.storage import Folder, Manifest
from wsnet.tracking.client import connect, impatient, reason
from wsnet.tracking.runs import Experiment

__all__ = ["Mirror"]

_PAUSE = 0.5
"""Least seconds between two rounds: changes that come close together go up together."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
"""Back-off after a failure, doubled each time, in seconds."""


class Mirror:
    """Mirrors a sweep into MLflow from a daemon thread.

    What is missing in MLflow is found by comparing: a mirror that starts anew fills the gaps of earlier ones and makes
    no doubles. All trials that have a directory are looked at when it starts.

    Args:
        sweep: the sweep's folder.
        manifest: the sweep's trials.
        uri: tracking URI: `http://...`, `sqlite:///...`, or what else MLflow takes.
        revision: source revision, for the tag `wsnet.revision` of new runs.
    """

    def __init__(self, sweep: Folder, manifest: Manifest, *, uri: str, revision: str | None) -> None:
        self._sweep, self._manifest, self._uri, self._revision = sweep, manifest, uri, revision
        self._known = {entry.trial_id for entry in manifest.trials}
        self._wake = threading.Condition()
        self._dirty: dict[str, int] = {}  # Trial to a count that tells a change during its upload from none.
        self._list_all = True
        self._closing = self._abandoned = False
        self._trouble: str | None = None
        self._page: str | None = None
        self._thread = threading.Thread(target=self._run, name="wsnet-mirror", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """What is wrong, for a line of progress; None while all is well."""
        return self._trouble

    @property
    def page(self) -> str | None:
        """The page of the runs, to be put behind the UI's address; None before MLflow answered."""
        return self._page

    def changed(self, trial_id: str) -> None:
        """Say that a trial's directory has changed. Returns at once."""
        assert trial_id in self._known, f"trial {trial_id!r} is not in the manifest"
        with self._wake:
            self._dirty[trial_id] = self._dirty.get(trial_id, 0) + 1
            self._wake.notify()

    def sync_all(self) -> None:
        """Look at every trial that has a directory. Returns at once."""
        with self._wake:
            self._list_all = True
            self._wake.notify()

    def close(self, timeout: float = 5.0) -> list[str]:
        """Bring up what is left, but for no longer than `timeout` seconds.

        Returns:
            trial ids that are not mirrored as they now are; the next mirror will find them.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)
        with self._wake:
            self._abandoned = True
            return sorted(self._known if self._list_all else self._dirty)

    def _run(self) -> None:
        with impatient():
            experiment: Experiment | None = None
            wait = 0.0
            while self._rest(wait):
                try:
                    self._list()
                    if self._dirty or experiment is None:
                        experiment = experiment or self._connect()
                        self._round(experiment)
                    self._trouble, wait = None, 0.0
                except Exception as error:
                    # Whatever it is, training goes on; what MLflow has is asked anew once it answers again.
                    self._trouble, experiment = self._describe(error), None
                    if self._closing:
                        return
                    wait = min(max(2 * wait, _FIRST_WAIT), _LONGEST_WAIT)

    def _rest(self, wait: float) -> bool:
        """Sleep until there is work and the back-off is over; False when all is done and the mirror closes."""
        with self._wake:
            if wait:
                self._wake.wait_for(lambda: self._closing, wait)
            elif not self._list_all:
                self._wake.wait_for(lambda: self._closing, _PAUSE)
                self._wake.wait_for(lambda: self._closing or self._dirty or self._list_all)
            return not self._abandoned and (not self._closing or bool(self._dirty) or self._list_all)

    def _list(self) -> None:
        if not self._list_all:
            return
        there = self._known.intersection((self._sweep / "trials").names())
        with self._wake:
            self._list_all = False
            self._dirty |= {trial_id: self._dirty.get(trial_id, 0) + 1 for trial_id in there}

    def _connect(self) -> Experiment:
        client = connect(self._uri, create=True)
        experiment = Experiment(client, self._sweep, self._manifest, uri=self._uri, revision=self._revision)
        self._page = experiment.page
        return experiment

    def _round(self, experiment: Experiment) -> None:
        """Upload every trial that has changed; one that can not be read keeps no other from it."""
        failure: Exception | None = None
        for trial_id, count in sorted(self._dirty.copy().items()):
            if self._abandoned:
                return
            try:
                experiment.upload(trial_id)
            except Exception as error:
                experiment.check()
                failure = error
                continue
            with self._wake:
                if self._dirty[trial_id] == count:
                    del self._dirty[trial_id]
        if failure is not None:
            raise failure

    def _describe(self, error: Exception) -> str:
        waiting = len(self._known) if self._list_all else len(self._dirty)
        return f"{reason(self._uri, error)}; {waiting} trial{'s wait' if waiting != 1 else ' waits'}"
