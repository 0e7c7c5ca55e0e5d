"""What the driver does when Tune tells it something: tally, mirror, mark how trials ended."""

import sys
import traceback
from collections.abc import Callable
from typing import Any

from ray.tune.progress_reporter import TrialProgressCallback

from wsnet.storage import Folder, Status, trial_directory
from wsnet.sweep.progress import Board, Tally

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

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks with its own state, which is never used.

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune went round its loop."""
        _safely(self._board.refresh)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial got a slot."""
        _safely(self._tally.started, _id(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has an epoch more."""
        _safely(self._tally.measured, _id(trial), result)
        _safely(self._changed, _id(trial))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial came to its end, or the scheduler stopped it."""
        _safely(self._ended, trial, "stopped")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial crashed as often as it may."""
        _safely(self._ended, trial, "failed")

    def _ended(self, trial: Any, otherwise: str) -> None:
        trial_id = _id(trial)
        directory = trial_directory(self._sweep, trial_id)
        status = directory.status() or Status(status="running")
        if status.status == "running":  # It had no chance to say how it ended: killed, or stopped by the scheduler.
            epoch = len(directory.records())
            message = "stopped by the scheduler" if otherwise == "stopped" else "its process died; see Ray's logs"
            status = Status(status=otherwise, epoch=epoch, message=message)  # type: ignore[arg-type]
            directory.write_status(status)
        if status.status == "failed":
            self._board.say(f"{self._names[trial_id]} failed: {status.message}  ({directory.folder.location})")
        self._tally.ended(trial_id, status)
        self._changed(trial_id)


def _id(trial: Any) -> str:
    return str(trial.config["trial_id"])


def _safely(call: Callable[..., None], *arguments: Any) -> None:
    """An exception in a Tune callback ends the sweep, and nothing done here is worth that."""
    try:
        call(*arguments)
    except Exception:
        traceback.print_exc(file=sys.stderr)
