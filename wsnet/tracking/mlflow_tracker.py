"""MLflow as a tracker of a sweep. Importing this does not import mlflow."""

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from wsnet.storage import Folder, Manifest
from wsnet.tracking.client import connect, fail_fast, reason, without_password
from wsnet.tracking.report_run import upload_report_run
from wsnet.tracking.tracker import Tracker
from wsnet.tracking.upload import SweepRuns
from wsnet.tracking.views import address

__all__ = ["MLflow"]


class MLflow(Tracker):
    """An MLflow server or database: a run for each trial, each setting and the report.

    Args:
        sweep: the sweep's folder.
        manifest: the sweep's trials.
        uri: tracking URI: `http://...`, `sqlite:///...`, or any other that MLflow accepts.
        revision: source revision, for the tag `wsnet.revision` of new runs.
    """

    name = "MLflow"

    def __init__(self, sweep: Folder, manifest: Manifest, *, uri: str, revision: str | None) -> None:
        self._sweep, self._manifest, self._uri, self._revision = sweep, manifest, uri, revision
        self.place = without_password(uri)
        self.patience = 60.0 if uri.startswith("sqlite:") else 15.0  # Creating the tables takes longest.
        self._opened = ExitStack()
        self._runs: SweepRuns | None = None

    def __enter__(self) -> Self:
        self._opened.enter_context(fail_fast())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def connect(self) -> None:
        """Create the database and the experiment if absent, and find the runs that exist."""
        client = connect(self._uri, create=True)
        self._runs = SweepRuns(client, self._sweep, self._manifest, uri=self._uri, revision=self._revision)
        self.pages = self._runs.pages

    def upload(self, trial_id: str) -> None:
        """Upload what MLflow does not yet have of a trial."""
        self._connected.upload(trial_id)

    def upload_setting(self, setting_id: str) -> None:
        """Bring the run of a setting up to date with those of its trials."""
        self._connected.upload_setting(setting_id)

    def check(self) -> None:
        """Raise if the server does not answer."""
        self._connected.check()

    def upload_report(self, files: Sequence[str]) -> None:
        """Upload the report to the one run of kind `summary`."""
        upload_report_run(self._sweep, self._manifest, self._uri, files)

    def reason(self, error: BaseException) -> str:
        """Why MLflow cannot be used."""
        return reason(self._uri, error)

    def lines(self) -> list[str]:
        """The address of the UI, or the command that opens it, and the saved views."""
        first = f"Compare runs: mlflow ui --backend-store-uri {shlex.quote(self.place)}"
        if self._uri.startswith(("http://", "https://")):
            first = f"Compare runs: {address(self._uri)}"
        return [first, *(f"  {title}: {address(self._uri)}/{page}" for title, page in self.pages)]

    @property
    def _connected(self) -> SweepRuns:
        assert self._runs is not None, "connect first"
        return self._runs
