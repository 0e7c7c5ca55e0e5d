"""What a start of a sweep finds: what earlier ones did of each trial, and what is missing."""

from dataclasses import dataclass
from typing import Literal

from wsnet.storage import Folder, Status, trial_directory
from wsnet.storage.trial_directory import Record
from wsnet.sweep.plan import Plan, PlannedTrial

__all__ = ["Left", "left_of"]


@dataclass(frozen=True, kw_only=True)
class Left:
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
    def is_done(self) -> bool:
        """Whether it is never run again."""
        return self.status is not None and self.status.is_final

    def shown(self, rung: int) -> Literal["stop", "continue"] | None:
        """What a scheduler must have decided at a rung that the records hold; None where it was cut off before."""
        from wsnet.training.fit import ending

        if self.records[-1]["epoch"] > rung:
            return "continue"
        if self.status is not None and self.status.status == "stopped":
            return "stop"
        # Of a trial that is at its own end, `fit` says how it ended, also where it was killed before it could say so.
        is_at_its_end = self.is_done or ending(self.trial.config.train, self.records) is not None
        return "continue" if is_at_its_end else None


def left_of(plan: Plan, sweep: Folder) -> list[Left]:
    """Every trial of a plan as earlier starts left it, in the plan's order."""
    started = (sweep / "trials").existing([f"{trial.entry.trial_id}/status.json" for trial in plan.trials])
    return [_left(trial, sweep, has_started) for trial, has_started in zip(plan.trials, started, strict=True)]


def _left(trial: PlannedTrial, sweep: Folder, has_started: bool) -> Left:
    directory = trial_directory(sweep, trial.entry.trial_id)
    status = directory.status() if has_started else None
    return Left(trial=trial, status=status, records=directory.records() if status is not None else [])
