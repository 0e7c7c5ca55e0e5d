"""The runs in W&B that are open: one for each trial that trains, until it ends."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.storage.trial_directory import Record
from wsnet.tracking.wandb_client import WandbProject, run_settings
from wsnet.tracking.wandb_run import logged
from wsnet.tracking.wandb_uploads import Upload

if TYPE_CHECKING:
    from wandb import Run

__all__ = ["OpenRuns", "waiting_files"]


class OpenRuns:
    """Opens runs, logs to them and finishes them. W&B's service must run.

    Args:
        project: where the runs go.
        folder: where their files go while they are open; offline, for good.
    """

    def __init__(self, project: WandbProject, folder: Path) -> None:
        self._project, self._folder = project, folder
        self._runs: dict[str, Run] = {}
        self._first: dict[str, int] = {}  # By run: the first epoch that is logged here.
        self._next: dict[str, int] = {}  # By run: the first epoch that it lacks.

    def open(self, what: dict[str, Any], config: dict[str, Any], earlier: Upload | None) -> "Run":
        """The run, which is created if absent, and resumed if it was finished.

        Args:
            what: arguments of `wandb.init` that identify it, its `id` among them.
            config: its configuration.
            earlier: its last upload.

        Raises:
            wandb.Error: the server does not answer, or refuses it.
        """
        run_id = what["id"]
        if run_id in self._runs:
            return self._runs[run_id]
        import wandb

        first = self._first_offline(run_id, earlier) if self._project.is_offline else None
        run = wandb.init(
            **what,
            entity=self._project.entity,
            project=self._project.project,
            config=config,
            resume="allow",
            allow_val_change=True,  # A sweep that was extended can describe a run differently.
            settings=run_settings(self._folder, is_offline=self._project.is_offline),
        )
        self._runs[run_id] = run
        self._first[run_id] = self._next[run_id] = run.starting_step if first is None else first
        return run

    def _first_offline(self, run_id: str, earlier: Upload | None) -> int:
        """The first epoch for a new file of a run.

        `wandb sync` would append what it has uploaded already, with other steps. A file that it has not uploaded, or
        whose writing was cut off, is deleted: the new one has all of it.
        """
        waiting = waiting_files(self._project.files, run_id)
        for old in waiting:
            shutil.rmtree(old, ignore_errors=True)
        if earlier is None:
            return 0
        return earlier.first if earlier.folder in {old.name for old in waiting} else earlier.last + 1

    def log(self, run: "Run", records: list[Record]) -> None:
        """Log the epochs that the run lacks, each as the step of its number."""
        for record in records:
            epoch = int(record["epoch"])
            if epoch >= self._next[run.id]:
                run.log(logged(record), step=epoch)
                self._next[run.id] = epoch + 1

    def finish(self, run: "Run", state: str, *, code: int, final: dict[str, Any] | None = None) -> Upload:
        """Write the final values, wait until all is uploaded, and close the run.

        Args:
            run: the run.
            state: a hash of all that it shows.
            code: exit code; W&B shows the run as failed unless it is 0.
            final: its summary's values.

        Returns:
            what is to be noted of it.

        Raises:
            TimeoutError: the upload took too long.
        """
        run.summary.update(final or {})
        done = Upload(
            run=run.id,
            state=state,
            url=None if self._project.is_offline else run.project_url,
            folder=Path(run.dir).parent.name if self._project.is_offline else "",
            first=self._first[run.id],
            last=max(0, self._next[run.id] - 1),
        )
        del self._runs[run.id]
        run.finish(exit_code=code)
        return done

    def leave(self) -> None:
        """Close the runs of trials that have not ended, as W&B shows runs that will be resumed. Does not raise."""
        for run in self._runs.values():
            with suppress(Exception):
                run.mark_preempting()
                run.finish(exit_code=1)
        self._runs = {}


def waiting_files(files: Path, run_id: str = "*") -> list[Path]:
    """Folders of offline runs, of one or all, that `wandb sync` has not uploaded."""
    found = files.glob(f"offline-run-*-{run_id}")
    return sorted(run for run in found if not any(run.glob("*.wandb.synced")))
