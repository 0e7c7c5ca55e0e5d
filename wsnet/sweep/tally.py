"""Where the trials of a sweep are: done, running, failed, the best settings on validation, the time left."""

import math
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from wsnet.storage import Status, TrialEntry

__all__ = ["STOPPED", "SettingState", "Tally"]

STOPPED = "stopped by the scheduler"
"""The message of a trial that the scheduler stopped."""

_DONE = ("finished", "diverged", "stopped")


@dataclass(frozen=True, kw_only=True)
class SettingState:
    """How far a setting is.

    Attributes:
        name: its short name.
        done: seeds that need no more work.
        seeds: seeds that it has.
        median: median over the seeds measured so far of the validation top-1 error, in percent; infinite where half of
            them diverged, None before the first epoch and where there is no validation split.
    """

    name: str
    done: int
    seeds: int
    median: float | None


@dataclass
class Tally:
    """Where the trials of a sweep are, kept up to date by what is told of each.

    Args:
        trials: every trial of the sweep.
        epochs: epochs of each trial, by trial_id.
        concurrent: trials that run at the same time.
    """

    trials: list[TrialEntry]
    epochs: dict[str, int]
    concurrent: int = 1
    statuses: dict[str, str] = field(default_factory=dict)
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._settings = {trial.trial_id: trial.setting_id for trial in self.trials}
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def started(self, trial_id: str) -> None:
        """A trial has a slot."""
        self.statuses[trial_id] = "running"

    def measured(self, trial_id: str, record: dict[str, Any]) -> None:
        """A trial has an epoch more. What is no record, or of an epoch that is known, changes nothing."""
        if record.get("epoch", 0) <= self.latest.get(trial_id, {}).get("epoch", 0):
            return
        self.latest[trial_id] = record
        if "time/epoch_seconds" in record:
            self._seconds[self._settings[trial_id]].append(record["time/epoch_seconds"])

    def ended(self, trial_id: str, status: Status) -> None:
        """A trial gave its slot back."""
        self.statuses[trial_id] = status.status

    def count(self, *statuses: str) -> int:
        """How many trials are in one of these states."""
        return sum(status in statuses for status in self.statuses.values())

    @property
    def done(self) -> int:
        """Trials that need no more work."""
        return self.count(*_DONE)

    def seconds_left(self) -> float | None:
        """Time left, from each setting's own epochs where it has run, else from the others'; None before the first.

        No less than the longest trial needs, however many may run beside it.
        """
        known = {setting: statistics.median(seconds) for setting, seconds in self._seconds.items()}
        if not known:
            return None
        usual = statistics.mean(known.values())
        work: list[float] = [
            (self.epochs[trial.trial_id] - self.latest.get(trial.trial_id, {}).get("epoch", 0))
            * known.get(trial.setting_id, usual)
            for trial in self.trials
            if self.statuses.get(trial.trial_id) not in (*_DONE, "failed")
        ]
        return max(sum(work) / self.concurrent, max(work, default=0.0))

    def best_settings(self) -> list[SettingState]:
        """Settings by their median validation top-1 error over seeds so far, the best first."""
        by_setting: dict[str, list[TrialEntry]] = defaultdict(list)
        for trial in self.trials:
            by_setting[trial.setting_id].append(trial)
        states = []
        for trials in by_setting.values():
            errors = [error for error in map(self._validation_error, trials) if error is not None]
            states.append(
                SettingState(
                    name=trials[0].name.rpartition("-s")[0],
                    done=sum(self.statuses.get(trial.trial_id) in _DONE for trial in trials),
                    seeds=len(trials),
                    median=statistics.median(errors) if errors else None,
                )
            )
        return sorted(states, key=lambda state: (state.median is None, state.median or 0.0))

    def _validation_error(self, trial: TrialEntry) -> float | None:
        if self.statuses.get(trial.trial_id) == "diverged":
            return math.inf
        error = self.latest.get(trial.trial_id, {}).get("validation/top1_error")
        return None if error is None or math.isnan(error) else float(error)
