"""W&B (Weights & Biases) as a tracker of a sweep. Importing this does not import wandb."""

import hashlib
import shlex
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.tracking.tracker import Tracker
from wsnet.tracking.wandb_client import WandbProject, end_service, is_unreachable, reason, start_service
from wsnet.tracking.wandb_run import configuration, description, exit_code, report_description, state_of, summary
from wsnet.tracking.wandb_runs import OpenRuns, waiting_files
from wsnet.tracking.wandb_uploads import Uploads

__all__ = ["WandB"]


class WandB(Tracker):
    """A W&B project: a run for each trial, and one for the report.

    Online, the run of a trial stays open while it trains, and gets each epoch as it ends. Offline, nobody could look at
    it, and a file that was begun could not be continued by the next start: a trial's file is written when it has ended.

    Args:
        sweep: the sweep's folder.
        manifest: the sweep's trials.
        project: where the runs go.
        revision: source revision, for the runs' config.
    """

    name = "W&B"

    def __init__(self, sweep: Folder, manifest: Manifest, project: WandbProject, *, revision: str | None) -> None:
        self._sweep, self._manifest, self._project, self._revision = sweep, manifest, project, revision
        self.place = project.place
        self._entries = {entry.trial_id: entry for entry in manifest.trials}
        self._runs: OpenRuns | None = None
        self._uploads = Uploads(sweep, project.identity)
        self._failure: Exception | None = None
        self._in_use = threading.Lock()  # The report's thread waits until the mirror's has left.
        self._scratch: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        self._in_use.acquire()
        if not self._project.is_offline:  # What W&B keeps of a run beside the server; the records have all of it.
            self._scratch = TemporaryDirectory(prefix="wsnet-wandb-", ignore_cleanup_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None
        self._in_use.release()

    def connect(self) -> None:
        """Start W&B's service, anew after a failure."""
        self._leave()
        start_service()
        self._failure = None
        folder = self._project.folder if self._scratch is None else Path(self._scratch.name)
        assert folder is not None, "enter first"
        self._runs = OpenRuns(self._project, folder)

    def upload(self, trial_id: str) -> None:
        """Upload what W&B does not yet have of a trial."""
        entry, directory = self._entries[trial_id], trial_directory(self._sweep, trial_id)
        status = directory.status()  # Before the records, so that a final status never comes with only part of them.
        if status is None:
            return
        has_ended = status.has_ended or status.status == "failed"
        what = description(self._manifest, entry)
        state = state_of(what, entry.axes, entry.also, vars(status))
        if self._uploads.has(trial_id, state) or (self._project.is_offline and not has_ended):
            return
        text, records = (directory.folder.read("trial.yaml") or b"").decode(), directory.records()
        config = configuration(self._manifest, entry, text, self._revision)
        try:
            run = self._connected.open(what, config, self._uploads.get(trial_id))
            self._connected.log(run, records)
            if has_ended:
                final = summary(status, records)
                self._uploads.add(self._connected.finish(run, state, code=exit_code(status), final=final))
        except Exception as error:
            self._failure = error
            raise

    def check(self) -> None:
        """Raise if the last failure was that of the server, or of W&B's own service, not of one trial."""
        if self._failure is not None and is_unreachable(self._failure):
            raise self._failure

    def upload_report(self, files: Sequence[str]) -> None:
        """Upload the report's files to one run."""
        contents = {name: data for name in files if (data := self._sweep.read(name)) is not None}
        what = report_description(self._manifest)
        state = state_of(what, {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()})
        if self._uploads.has(what["id"], state):
            return
        self.connect()
        with TemporaryDirectory(prefix="wsnet-report-") as place:
            belongs = {"wsnet": {"sweep": self._manifest.name}}
            run = self._connected.open(what, belongs, self._uploads.get(what["id"]))
            for name, data in contents.items():
                Path(place, name).write_bytes(data)
                run.save(str(Path(place, name)), base_path=place, policy="now", glob=False)
            done = self._connected.finish(run, state, code=0)
        self._uploads.add(done)

    def reason(self, error: BaseException) -> str:
        """Why W&B cannot be used."""
        return reason(self.place, error)

    def lines(self) -> list[str]:
        """The command that uploads offline runs, if there are any that it has not uploaded, or the project's page."""
        if self._project.is_offline:
            files = self._project.files
            return [f"Upload to W&B: wandb sync {shlex.quote(str(files))}"] if waiting_files(files) else []
        return [] if self._uploads.url is None else [f"Compare runs in W&B: {self._uploads.url}"]

    @property
    def _connected(self) -> OpenRuns:
        assert self._runs is not None, "connect first"
        return self._runs

    def _leave(self) -> None:
        """Close the runs that are open, and end W&B's service. Does not raise."""
        if self._runs is not None:
            self._runs.leave()
            end_service()
            self._runs = None
