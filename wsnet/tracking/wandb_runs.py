"""The runs in W&B that are open: one for each trial that trains, until it ends."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.storage.trial_directory import Record
from wsnet.tracking.wandb_client import WandbProject, run_settings
from wsnet.tracking.wandb_run import logged

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
        self._next: dict[str, int] = {}  # By run: the first epoch that it lacks.

    def open(self, what: dict[str, Any], config: dict[str, Any]) -> "Run":
        """The run, which is created if absent, and resumed if it was finished.

        Args:
            what: arguments of `wandb.init` that identify it, its `id` among them.
            config: its configuration.

        Raises:
            wandb.Error: the server does not answer, or refuses it.
        """
        run_id = what["id"]
        if run_id in self._runs:
            return self._runs[run_id]
        import wandb

        if self._project.is_offline:
            for old in waiting_files(self._project.files, run_id):  # What it holds is written again, and more.
                shutil.rmtree(old, ignore_errors=True)
        run = wandb.init(
            **what,
            entity=self._project.entity,
            project=self._project.project,
            config=config,
            resume="allow",
            allow_val_change=True,  # A sweep that was extended can describe a run differently.
            settings=run_settings(self._folder, is_offline=self._project.is_offline),
        )
        self._runs[run_id], self._next[run_id] = run, run.starting_step
        return run

    def log(self, run: "Run", records: list[Record]) -> None:
        """Log the epochs that the run lacks, each as the step of its number."""
        for record in records:
            epoch = int(record["epoch"])
            if epoch >= self._next[run.id]:
                run.log(logged(record), step=epoch)
                self._next[run.id] = epoch + 1

    def finish(self, run: "Run", *, code: int, final: dict[str, Any] | None = None) -> str | None:
        """Write the final values, wait until all is uploaded, and close the run.

        Args:
            run: the run.
            code: exit code; W&B shows the run as failed unless it is 0.
            final: its summary's values.

        Returns:
            the page of its project; None if offline.

        Raises:
            TimeoutError: the upload took too long.
        """
        run.summary.update(final or {})
        url = None if self._project.is_offline else run.project_url
        del self._runs[run.id]
        run.finish(exit_code=code)
        return url

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
