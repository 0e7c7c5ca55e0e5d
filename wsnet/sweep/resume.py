"""The state that a sweep starts from: how far earlier starts got with each trial, and what is still to be trained."""

from dataclasses import dataclass, replace
from typing import Literal

from wsnet.storage import DamagedFile, Folder, Status, Stops, trial_directory
from wsnet.storage.stops import hold_back
from wsnet.storage.trial_directory import Record
from wsnet.sweep.planning.plan import Plan, PlannedTrial
from wsnet.sweep.progress import SweepProgress
from wsnet.sweep.time_left import start_order

__all__ = ["TrialState", "held_back", "progress_so_far", "read_states", "unfinished"]


@dataclass(frozen=True, kw_only=True)
class TrialState:
    """A trial as earlier starts left it.

    Attributes:
        trial: the trial.
        status: its status; None where it was never started.
        records: its records.
    """

    trial: PlannedTrial
    status: Status | None
    records: list[Record]

    @property
    def trial_id(self) -> str:
        """The trial's identity."""
        return self.trial.entry.trial_id

    @property
    def setting_id(self) -> str:
        """Identity of its setting."""
        return self.trial.entry.setting_id

    @property
    def is_done(self) -> bool:
        """Whether the trial is never run again."""
        return self.status is not None and self.status.is_final

    def implied_verdict(self, rung: int) -> Literal["stop", "continue"] | None:
        """The verdict at a recorded rung that later records or the trial's end imply; None if they imply none."""
        from wsnet.training.fit import ending

        if self.records[-1]["epoch"] > rung:
            return "continue"
        if self.status is not None and self.status.status == "stopped" and self.status.is_final:
            return "stop"
        # `ending` tells from the records that a trial had ended, even if it was killed before it wrote its status.
        is_at_its_end = self.is_done or ending(self.trial.config.train, self.records) is not None
        return "continue" if is_at_its_end else None


def read_states(plan: Plan, folder: Folder) -> list[TrialState]:
    """Every trial of a plan as earlier starts left it, in the plan's order.

    Args:
        plan: the plan.
        folder: the sweep's folder.
    """
    started = (folder / "trials").existing([f"{trial.entry.trial_id}/status.json" for trial in plan.trials])
    return [_state(trial, folder, has_started) for trial, has_started in zip(plan.trials, started, strict=True)]


def _state(trial: PlannedTrial, folder: Folder, has_started: bool) -> TrialState:
    """A trial's state. One whose files are damaged is not done: `fit` sets them aside and repairs it."""
    directory = trial_directory(folder, trial.entry.trial_id)
    status, records = None, []
    if has_started:
        try:
            status, records = directory.status(), directory.records()
        except DamagedFile:
            status = Status(status="running")
    if status is not None and status.lacks_records(records):
        status = Status(status="running", epoch=len(records))
    return TrialState(trial=trial, status=status, records=records)


def held_back(states: list[TrialState], folder: Folder) -> list[TrialState]:
    """The states, with those of trials that the user has stopped as final: this start leaves them alone.

    Args:
        states: as read.
        folder: the sweep's folder.
    """
    stops = Stops(folder).ids()
    return [_held_back(state, folder) if stops & {state.trial_id, state.setting_id} else state for state in states]


def _held_back(state: TrialState, folder: Folder) -> TrialState:
    if state.is_done:
        return state
    hold_back(trial_directory(folder, state.trial_id))
    # Not STOPPED_BY_USER: a status with that message is not final, since the user may take the stop back.
    return replace(state, status=Status(status="stopped", epoch=len(state.records), message="held back"))


def progress_so_far(states: list[TrialState]) -> SweepProgress:
    """The progress at the start of a sweep, after what earlier starts did."""
    trials = [state.trial for state in states]
    progress = SweepProgress([t.entry for t in trials], {t.entry.trial_id: t.config.train.epochs for t in trials})
    for state in states:
        if state.records:
            progress.measured(state.trial_id, state.records[-1])
        if state.status is not None and state.is_done:
            progress.ended(state.trial_id, state.status)
    return progress


def unfinished(states: list[TrialState]) -> list[TrialState]:
    """The trials to run, in starting order; failed ones are retried.

    Trials that have records come first; the others as `start_order` says.
    """
    missing = [state for state in states if not state.is_done]
    return sorted(missing, key=lambda state: (not state.records, start_order(state.trial.entry)))
