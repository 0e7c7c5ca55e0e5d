"""Successive halving whose verdicts are written down, and stand in every later start of the sweep."""

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from wsnet.config.sweep import AshaConfig
from wsnet.storage import RungJournal, Verdict
from wsnet.sweep.resume import Left

__all__ = ["JournaledAsha", "rungs_of"]


def rungs_of(config: AshaConfig, max_t: int) -> tuple[int, ...]:
    """The rungs of a sweep: `grace` epochs, times `eta`, times `eta` again, ... below `max_t`, where nothing is left.

    Args:
        config: first rung, and the factor between rungs.
        max_t: epochs of the longest trial.
    """
    rungs, rung = [], config.grace
    while rung < max_t:
        rungs.append(rung)
        rung *= config.eta
    return tuple(rungs)


_ACTIONS = {"stop": TrialScheduler.STOP, "continue": TrialScheduler.CONTINUE}

_WORST = 1e300
"""Stands for a value that is not finite, in Ray's percentile: NaN would be left out, infinity makes the cutoff NaN."""


class JournaledAsha(ASHAScheduler):  # type: ignore[misc]
    """Ray's ASHA (Li et al. 2020) with a journal: no verdict is acted on before it is written down, or taken twice.

    It starts out with what the journal holds. Rungs that records hold and the journal does not get their verdict at
    once: first those that show in what the trial did, then, in the order of `left`, those that were cut off between the
    record and the verdict. (Tune's own way to go on restores a snapshot, which is older than the last epochs.)

    Args:
        config: rungs and metric.
        max_t: epochs of the longest trial.
        journal: the sweep's journal.
        left: the trials of the plan as they were left, in its order. Only they count: verdicts about others are not
            looked at, and what was measured of them decides nothing.
    """

    def __init__(self, config: AshaConfig, *, max_t: int, journal: RungJournal, left: list[Left]) -> None:
        super().__init__(
            time_attr="epoch",
            metric=config.metric,
            mode="min",
            max_t=max_t,
            grace_period=config.grace,
            reduction_factor=config.eta,
        )
        self._journal, self._rungs = journal, rungs_of(config, max_t)
        self._members = {trial.trial_id: SimpleNamespace(trial_id=trial.trial_id) for trial in left}
        for member in self._members.values():
            super().on_trial_add(None, member)
        self._told: set[tuple[str, int]] = set()
        self._measured = {arrival.key: arrival.value for trial in left for arrival in self._arrivals(trial)}
        with journal.held():
            self._catch_up()
            self._settle(left)

    def stopped(self, trials: list[Left]) -> dict[str, int]:
        """Those of the trials that were stopped, as far as their records reach, and at which rung."""
        last = {trial.trial_id: trial.records[-1]["epoch"] for trial in trials if trial.records}
        return {trial_id: rung for trial_id, rung in self._journal.stops().items() if rung <= last.get(trial_id, 0)}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial joins, or is started again: every trial of the plan is known from the start."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A trial has an epoch more, or tells its last one again. `fit` ends it after its own last epoch."""
        if result.get("epoch") not in self._rungs or self._metric not in result:
            return str(TrialScheduler.CONTINUE)
        arrival = _Arrival(str(trial.config["trial_id"]), result["epoch"], result[self._metric])
        with self._journal.held():
            self._catch_up()
            verdict = self._journal.verdict(*arrival.key) or self._decide(arrival)
        return str(_ACTIONS[verdict.verdict])

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """A trial ended; its values stay."""

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """A trial ended before it began; its values stay."""

    def _catch_up(self) -> None:
        """Tell Ray's ASHA what the journal holds: of earlier starts, or of another one that runs now."""
        for verdict in self._journal.verdicts():
            key = (verdict.trial_id, verdict.rung)
            if key in self._told or verdict.trial_id not in self._members or verdict.rung not in self._rungs:
                continue
            if verdict.metric == self._metric:
                self._rank(_Arrival(*key, verdict.value))
            elif key in self._measured:  # The sweep file's metric is another one since.
                self._rank(_Arrival(*key, self._measured[key]))

    def _settle(self, left: list[Left]) -> None:
        """Take the verdicts that the journal lacks."""
        missing = [
            (trial, arrival)
            for trial in left
            for arrival in self._arrivals(trial)
            if self._journal.verdict(*arrival.key) is None
        ]
        shown = [(arrival, trial.shown(arrival.rung)) for trial, arrival in missing]
        self._journal.add([self._verdict(arrival, verdict) for arrival, verdict in shown if verdict is not None])
        self._catch_up()
        for arrival, verdict in shown:
            if verdict is None:
                self._decide(arrival)

    def _decide(self, arrival: "_Arrival") -> Verdict:
        """Have Ray's ASHA decide, and write it down."""
        action = self._rank(arrival)
        verdict = self._verdict(arrival, "stop" if action == TrialScheduler.STOP else "continue")
        self._journal.add([verdict])
        return verdict

    def _rank(self, arrival: "_Arrival") -> str:
        """Put a value into its rung, once: told again, Ray would take it for a lower rung."""
        self._told.add(arrival.key)
        value = _WORST if arrival.finite is None else arrival.finite
        result = {"epoch": arrival.rung, self._metric: value}
        return str(super().on_trial_result(None, self._members[arrival.trial_id], result))

    def _verdict(self, arrival: "_Arrival", verdict: Literal["stop", "continue"]) -> Verdict:
        return Verdict(
            trial_id=arrival.trial_id,
            rung=arrival.rung,
            metric=str(self._metric),
            value=arrival.finite,
            verdict=verdict,
        )

    def _arrivals(self, trial: Left) -> list["_Arrival"]:
        """The rungs that a trial's records hold."""
        return [
            _Arrival(trial.trial_id, int(record["epoch"]), record[self._metric])
            for record in trial.records
            if record["epoch"] in self._rungs and self._metric in record
        ]


@dataclass(frozen=True)
class _Arrival:
    """A trial's value at a rung."""

    trial_id: str
    rung: int
    value: float | None

    @property
    def key(self) -> tuple[str, int]:
        return self.trial_id, self.rung

    @property
    def finite(self) -> float | None:
        return self.value if self.value is not None and math.isfinite(self.value) else None
