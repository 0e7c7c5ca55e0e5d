"""The order in which trials start, and how long they still take, from the epochs measured so far."""

import heapq
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsnet.storage import TrialEntry

__all__ = ["EPOCH", "TRIAL", "EpochTimes", "SlotUse", "makespan", "start_order"]

TRIAL, EPOCH = 0.06, 0.015
"""Seconds that a trial and each of its epochs take besides: files, reports (docs/scaling.md has them measured)."""


def start_order(trial: "TrialEntry") -> tuple[int, float]:
    """Sorts trials as they start: the first seed of every setting, then the second of every setting, ...

    Of one seed, long trials come first, so that none is left to run alone at the end.
    """
    return trial.seed, -(trial.epochs or 1) * (trial.epoch_cost or 0.0)


class EpochTimes:
    """The measured epochs of a sweep's settings, and what they let one expect of the others."""

    def __init__(self, trials: "Iterable[TrialEntry]") -> None:
        self._costs = {trial.setting_id: trial.epoch_cost for trial in trials}
        self._measured: dict[str, list[float]] = defaultdict(list)

    def measured(self, setting_id: str, seconds: float) -> None:
        """Take in the duration of an epoch."""
        self._measured[setting_id].append(seconds)

    def expected(self) -> dict[str, float] | None:
        """Seconds of an epoch of each setting; None before any is measured.

        A setting without an epoch is expected to take what its counts say (`TrialEntry.epoch_cost`), at the median
        speed of those that have some; where counts are missing (older manifests), the mean of the others' times.
        """
        known = {setting_id: statistics.median(seconds) for setting_id, seconds in self._measured.items()}
        if not known:
            return None
        usual = statistics.mean(known.values())
        costs = {setting_id: cost for setting_id, cost in self._costs.items() if cost}
        per_cost = [seconds / costs[setting_id] for setting_id, seconds in known.items() if setting_id in costs]
        speed = statistics.median(per_cost) if len(costs) == len(self._costs) else None
        others = {
            setting_id: usual if speed is None else speed * costs[setting_id]
            for setting_id in self._costs.keys() - known.keys()
        }
        return known | others


class SlotUse:
    """What trials did with the slots that they had: time in epochs against time between their starts and ends."""

    def __init__(self) -> None:
        self._trials: set[str] = set()
        self._first = self._last = 0.0
        self._seconds = 0.0

    def started(self, trial_id: str) -> None:
        """A trial was started, or tried again."""
        if not self._trials:
            self._first = time.monotonic()
        self._trials.add(trial_id)

    def worked(self, seconds: float) -> None:
        """A trial has reported an epoch, which took so long."""
        self._seconds += seconds
        self._last = time.monotonic()

    def ended(self) -> None:
        """A trial has ended."""
        self._last = time.monotonic()

    def share(self, slots: int) -> float | None:
        """Part of the time of at most so many slots that was spent in epochs; None if there was no epoch."""
        available = min(slots, len(self._trials)) * (self._last - self._first)
        return self._seconds / available if self._seconds and available > 0 else None


def makespan(seconds: Iterable[float], slots: int) -> float:
    """When the last of several trials ends, if each, in this order, starts as soon as a slot is free."""
    ends = [0.0] * slots
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)
