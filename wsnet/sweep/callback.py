"""The driver's Tune callback: updates the progress and the tracking, and records how trials ended."""

import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from ray.tune.progress_reporter import TrialProgressCallback

from wsnet.storage import STOPPED_BY_USER, Folder, Status, Stops, StorageLost, trial_directory
from wsnet.sweep.progress import STOPPED, ProgressDisplay, SweepProgress
from wsnet.sweep.stacks import STACKED, Stack
from wsnet.sweep.trials.failure import error_of, explained, out_of_memory
from wsnet.sweep.trials.late_node import lacking_node

__all__ = ["SweepCallback"]

_LOOK_SECONDS = 10.0
"""Time between two looks whether remote storage answers. (A trial that cannot write waits, and tells nobody.)"""

_UNKNOWN = "The trial crashed, and Ray has no further information.\n"


class SweepCallback(TrialProgressCallback):  # type: ignore[misc]
    """Keeps the progress, its display and the tracking mirror up to date. No error in this class may stop the sweep.

    It derives from the callback that Tune would otherwise add, which prints to the terminal.

    Args:
        folder: the sweep's folder.
        progress: the state of the trials.
        display: shows the progress on the terminal.
        changed: called with the trial_id whenever a trial's directory has changed.
        started: called whenever a trial has started.
        has_scheduler: whether a scheduler may stop trials.
        refuse: keeps trials off a node, by Ray's name of it; returns whether that is new.
        deadline: when the sweep ends, by `time.monotonic`, as after Ctrl-C; None: when every trial has ended.
        stacks: those whose trials are trained side by side, by the trial_id of the first trial.
    """

    def __init__(
        self,
        folder: Folder,
        progress: SweepProgress,
        display: ProgressDisplay,
        changed: Callable[[str], None],
        *,
        started: Callable[[], None] = lambda: None,
        has_scheduler: bool,
        refuse: Callable[[str], bool] = lambda node_id: False,
        deadline: float | None = None,
        stacks: Mapping[str, Stack] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self._has_scheduler, self._started, self._refuse = has_scheduler, started, refuse
        self._folder, self._progress, self._display, self._changed = folder, progress, display, changed
        self._names = {trial.trial_id: trial.name for trial in progress.trials}
        self._settings = {trial.trial_id: trial.setting_id for trial in progress.trials}
        self._errors_shown: set[str] = set()
        self._is_last_try = False
        self._looked = time.monotonic()
        self._deadline = deadline
        self.stacks = stacks
        """See above; replaced before some are retried alone."""
        self.is_out_of_time = False
        """Whether the sweep was ended at its deadline."""
        self.lost: StorageLost | None = None
        """Why the sweep was ended, if the storage did not come back."""
        self.out_of_memory: list[str] = []
        """Trials that ran out of memory, to be retried alone."""

    def retry_alone(self) -> list[str]:
        """Return the trials to be retried alone; if they run out of memory again, they have failed."""
        self._is_last_try = True
        return self.out_of_memory

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks with its own state, which is never used.

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune has completed one iteration of its event loop."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.is_out_of_time = True
            raise KeyboardInterrupt
        self._safely(self._display.refresh)
        if self._folder.local is None and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._safely(self._folder.exists, "sweep.json")
            self._looked = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has started."""
        for trial_id in self._ids(trial):
            self._safely(self._progress.started, trial_id)
        self._safely(self._started)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has reported an epoch."""
        self._safely(_forget, trial)
        for trial_id, record in result.get(STACKED, {_id(trial): result}).items():
            self._safely(self._progress.measured, trial_id, record)
            self._safely(self._changed, trial_id)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial ended by itself, or the scheduler stopped it."""
        self._safely(_forget, trial)
        for trial_id in self._ids(trial):
            self._safely(self._ended, trial, trial_id, "stopped" if self._has_scheduler else "failed")

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial crashed and will be tried again."""
        self._safely(self._moved, trial)

    def _moved(self, trial: Any) -> None:
        """If the trial's node lacks something, send no more trials there."""
        found = lacking_node(error_of(trial))
        if found is not None and self._refuse(found[0]):
            self._display.say(f"{found[1]}; until the sweep is started again, that node gets no trials")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial crashed and has no retries left."""
        self._safely(_forget, trial)
        for trial_id in self._ids(trial):
            self._safely(self._ended, trial, trial_id, "failed")

    def _ids(self, trial: Any) -> Sequence[str]:
        """What Tune's trial trains: one trial, or a stack of them."""
        stack = self.stacks.get(_id(trial))
        return (_id(trial),) if stack is None else stack.trial_ids

    def _ended(self, trial: Any, trial_id: str, how: Literal["stopped", "failed"]) -> None:
        """Record how a trial ended: as its status file says, or as `how` if it was cut off before writing one.

        Args:
            trial: Tune's.
            trial_id: the trial, which Tune's may train beside others.
            how: what became of Tune's trial.
        """
        directory = trial_directory(self._folder, trial_id)
        status, records = directory.status() or Status(status="running"), directory.records()
        error = (error_of(trial) or _UNKNOWN) if how == "failed" else ""
        was_cut_off = status.status == "running"
        if was_cut_off and not trial.error_file and self._is_stopped_by_user(trial_id):
            # It was not started at all: the trial itself records its end otherwise.
            was_cut_off, status = False, Status(status="stopped", epoch=len(records), message=STOPPED_BY_USER)
        elif was_cut_off:
            message = STOPPED
            if how == "failed":
                first = trial_directory(self._folder, _id(trial))  # Of a stack, it says where that stalled.
                error, message = explained(first, error, _last_line(error))
            status = Status(status=how, epoch=len(records), message=message)
        if records:
            self._progress.measured(trial_id, records[-1])
        self._progress.ended(trial_id, status)
        if status.status == "failed" and out_of_memory(status.message) is not None and not self._is_last_try:
            self.out_of_memory.append(trial_id)
            self._display.say(
                f"{self._names[trial_id]}: {status.message}; it will be retried alone when the others end"
            )
        elif status.status == "failed":
            self._display.say(f"{self._names[trial_id]} failed: {status.message}  ({directory.folder.location})")
        if was_cut_off:  # After the progress is updated, since writing fails if the disk is full.
            if error:
                directory.folder.write("error.txt", error.encode(errors="backslashreplace"))
            directory.write_status(status)
        self._changed(trial_id)

    def _is_stopped_by_user(self, trial_id: str) -> bool:
        return Stops(self._folder).has_any([trial_id, self._settings[trial_id]])

    def _safely(self, call: Callable[..., object], *arguments: Any) -> None:
        """Call without raising, since an exception in a Tune callback ends the sweep. Each error is printed once.

        Where the storage is lost, this ends the sweep as Ctrl-C does.
        """
        try:
            call(*arguments)
        except StorageLost as error:
            self.lost = error
            raise KeyboardInterrupt from None
        except Exception as error:
            if repr(error) not in self._errors_shown:
                self._errors_shown.add(repr(error))
                traceback.print_exc(file=sys.stderr)


def _id(trial: Any) -> str:
    return str(trial.config["trial_id"])


def _forget(trial: Any) -> None:
    """Drop what Tune keeps of a trial and nothing reads: statistics of its metrics, and a task's result (60 kB)."""
    trial.metric_analysis.clear()
    trial.metric_n_steps.clear()
    trial._default_result_or_future = None


def _last_line(error: str) -> str:
    if (memory := out_of_memory(error)) is not None:
        return memory
    if "actor died" in error:  # Killed, for example by the system when memory runs out.
        return "its process died; see error.txt"
    return error.strip().splitlines()[-1]
