"""What the driver does when Tune tells it something: tally, mirror, mark how trials ended."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune.progress_reporter import TrialProgressCallback

from wsnet.storage import Folder, Status, trial_directory
from wsnet.sweep.progress import STOPPED, Board, Tally

__all__ = ["Follower"]


class Follower(TrialProgressCallback):  # type: ignore[misc]
    """Keeps the tally, the board and the tracking mirror up to date. Nothing that goes wrong here may stop the sweep.

    It stands in for the callback that Tune adds when it finds none of this class, and which prints to the terminal.

    Args:
        sweep: the sweep's folder.
        tally: where the trials are.
        board: what is drawn.
        changed: told of each trial that has something new.
    """

    def __init__(self, sweep: Folder, tally: Tally, board: Board, changed: Callable[[str], None]) -> None:
        super().__init__()
        self._sweep, self._tally, self._board, self._changed = sweep, tally, board, changed
        self._names = {trial.trial_id: trial.name for trial in tally.trials}
        self._troubles: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks with its own state, which is never used.

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune went round its loop."""
        self._safely(self._board.refresh)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial got a slot."""
        self._safely(self._tally.started, _id(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has an epoch more."""
        self._safely(self._tally.measured, _id(trial), result)
        self._safely(self._changed, _id(trial))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial came to its end, or the scheduler stopped it."""
        self._safely(self._ended, trial, "stopped", STOPPED)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial crashed as often as it may."""
        self._safely(self._ended, trial, "failed", "")

    def _ended(self, trial: Any, otherwise: str, message: str) -> None:
        """Note how a trial ended: as its status says, and `otherwise` where it could not say so itself."""
        trial_id = _id(trial)
        directory = trial_directory(self._sweep, trial_id)
        status, records = directory.status() or Status(status="running"), directory.records()
        error = _error(trial) if otherwise == "failed" else ""
        was_cut_off = status.status == "running"
        if was_cut_off:
            status = Status(status=otherwise, epoch=len(records), message=message or _last_line(error))  # type: ignore[arg-type]
        if records:
            self._tally.measured(trial_id, records[-1])
        self._tally.ended(trial_id, status)
        if status.status == "failed":
            self._board.say(f"{self._names[trial_id]} failed: {status.message}  ({directory.folder.location})")
        if was_cut_off:  # Behind the tally: where the disk is full, this fails too.
            if error:
                directory.folder.write("error.txt", error.encode())
            directory.write_status(status)
        self._changed(trial_id)

    def _safely(self, call: Callable[..., None], *arguments: Any) -> None:
        """An exception in a Tune callback ends the sweep, and nothing done here is worth that. Each is shown once."""
        try:
            call(*arguments)
        except Exception as error:
            if repr(error) not in self._troubles:
                self._troubles.add(repr(error))
                traceback.print_exc(file=sys.stderr)


def _id(trial: Any) -> str:
    return str(trial.config["trial_id"])


def _error(trial: Any) -> str:
    """What Ray knows of a trial's crash."""
    text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace") if trial.error_file else ""
    return text or "It crashed, and Ray knows no more.\n"


def _last_line(error: str) -> str:
    if "actor died" in error:  # Killed, as by the system when memory is short.
        return "its process died; see error.txt"
    return error.strip().splitlines()[-1]
