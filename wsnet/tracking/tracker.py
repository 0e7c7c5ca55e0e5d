"""The interface between the mirror of a sweep and a tracking service. A new service is one subclass of `Tracker`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

__all__ = ["Tracker"]


class Tracker(ABC):
    """Writes the runs of one sweep to a tracking service.

    The mirror (`wsnet.tracking.Mirror`) has the thread, the back-off after failures and the list of trials that have
    changed; it calls the methods from that thread, within `with tracker:`, so that no trial waits for any of them. All
    but the constructor and `reason` may raise any exception: the training goes on, `reason` says in the progress
    display what is wrong, and after a pause `connect` is called again, then the uploads that are missing. The process
    can be killed at any moment. Therefore a method that is called again looks at what the service holds and writes only
    what is missing; in particular it never makes a second run.

    Attributes:
        name: of the service, for messages.
        place: where it is, for messages; without a password.
        patience: seconds without progress after which the end of a sweep no longer waits for it.
        pages: title of each view of the runs, and what to append to the UI's address; empty before `connect`.
    """

    name: str
    place: str
    patience: float = 15.0
    pages: Sequence[tuple[str, str]] = ()

    def __enter__(self) -> Self:
        """Called in the mirror's thread before everything else."""
        return self

    def __exit__(  # noqa: B027  (Most services need nothing.)
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Called in the mirror's thread after everything else, to end what must not outlive it. Must not raise."""

    @abstractmethod
    def connect(self) -> None:
        """Find out what the service holds; called before the first upload and again after an exception."""

    @abstractmethod
    def upload(self, trial_id: str) -> None:
        """Bring the run of a trial up to date with its directory, which may not exist yet.

        Called whenever the directory has changed, and once for each trial of the sweep after a start.
        """

    def upload_setting(self, setting_id: str) -> None:  # noqa: B027
        """Bring what the service holds of a setting up to date, after its trials have been uploaded."""

    @abstractmethod
    def check(self) -> None:
        """Raise if the service does not answer.

        Called after an upload has failed: it tells a service that is down from a trial that cannot be read, which does
        not hold up the others.
        """

    @abstractmethod
    def upload_report(self, files: Sequence[str]) -> None:
        """Bring the files of the sweep's report up to date; called when every trial is uploaded.

        Args:
            files: their names in the sweep's folder.
        """

    @abstractmethod
    def reason(self, error: BaseException) -> str:
        """Why the service cannot be used, in one line and without a password."""

    @abstractmethod
    def lines(self) -> list[str]:
        """What the end of a sweep prints about where its runs are."""
