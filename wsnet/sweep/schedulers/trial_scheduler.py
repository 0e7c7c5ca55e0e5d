"""Schedulers of single trials: in order, and successive halving (ASHA) with a journal of its verdicts."""

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from wsnet.config.schedulers import AshaConfig
from wsnet.storage import RungJournal, Verdict
from wsnet.sweep.resume import TrialState

__all__ = ["InOrder", "JournaledAsha"]

_ACTIONS = {"stop": TrialScheduler.STOP, "continue": TrialScheduler.CONTINUE}

_WORST = 1e300
"""Passed to Ray for a value that is not finite: Ray's percentile ignores NaN, and infinity makes its cutoff NaN."""


class InOrder(FIFOScheduler):  # type: ignore[misc]
    """Runs trials in the order in which they were added.

    Tune's own class looks at all trials several times for each trial, also at those that have ended.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first trial that is pending; if there is none, the first one that is paused."""
        living = tune_controller.get_live_trials()
        for status in (Trial.PENDING, Trial.PAUSED):
            waiting = [trial for trial in living if trial.status == status]
            if waiting:
                return min(waiting, key=_order)
        return None


def _order(trial: Trial) -> tuple[int, str]:
    return len(trial.trial_id), trial.trial_id  # Tune numbers them: abcde_00000, abcde_00001, ..., abcde_100000.


class JournaledAsha(InOrder, ASHAScheduler):  # type: ignore[misc]
    """Ray's ASHA (Li et al. 2020) with a journal: each verdict is reached once, and written down before it is acted on.

    It starts from the journal. Rungs that a trial's records have reached, but that have no verdict yet, are decided at
    once: first those whose verdict follows from the trial's later epochs or its end; then, in the order of `states`,
    those where the sweep was cut off between record and verdict. (Tune's own way to resume restores a snapshot, which
    is older than the last epochs.)

    Args:
        config: rungs and metric.
        max_t: epochs of the longest trial.
        journal: the sweep's journal.
        states: the plan's trials as earlier starts left them, in the plan's order. Verdicts and values of any other
            trial are ignored.
    """

    def __init__(self, config: AshaConfig, *, max_t: int, journal: RungJournal, states: list[TrialState]) -> None:
        super().__init__(
            time_attr="epoch",
            metric=config.metric,
            mode="min",
            max_t=max_t,
            grace_period=config.grace,
            reduction_factor=config.eta,
        )
        self._journal, (self._rungs,) = journal, config.rungs(max_t)
        self._members = {trial.trial_id: SimpleNamespace(trial_id=trial.trial_id) for trial in states}
        for member in self._members.values():
            super().on_trial_add(None, member)
        self._ranked: set[tuple[str, int]] = set()
        self._measured = {arrival.key: arrival.value for trial in states for arrival in self._arrivals(trial)}
        with journal.held():
            self._catch_up()
            self._settle(states)

    @property
    def rungs(self) -> dict[str, tuple[int, ...]]:
        """The rungs of each trial, by trial_id."""
        return dict.fromkeys(self._members, self._rungs)

    def stopped(self, trials: list[TrialState]) -> dict[str, int]:
        """The trials that were stopped at a rung that their records have reached, by trial_id, with that rung."""
        last = {trial.trial_id: trial.records[-1]["epoch"] for trial in trials if trial.records}
        return {trial_id: rung for trial_id, rung in self._journal.stops().items() if rung <= last.get(trial_id, 0)}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Nothing to do when a trial starts: every trial of the plan is known from the start."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A trial reports an epoch, or its latest one again after a restart. `fit` ends it after its last epoch."""
        if result.get("epoch") not in self._rungs or self._metric not in result:
            return str(TrialScheduler.CONTINUE)
        arrival = _Arrival(str(trial.config["trial_id"]), result["epoch"], result[self._metric])
        with self._journal.held():
            self._catch_up()
            verdict = self._journal.verdict(*arrival.key) or self._decide(arrival)
        return str(_ACTIONS[verdict.verdict])

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Nothing to do when a trial ends: its values stay in the rungs."""

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Nothing to do when a trial is removed: its values stay in the rungs."""

    def _catch_up(self) -> None:
        """Pass the journal's verdicts to Ray's ASHA: those of earlier starts, or of another process running now."""
        for verdict in self._journal.verdicts():
            key = (verdict.trial_id, verdict.rung)
            if key in self._ranked or verdict.trial_id not in self._members or verdict.rung not in self._rungs:
                continue
            if verdict.metric == self._metric:
                self._rank(_Arrival(*key, verdict.value))
            elif key in self._measured:  # The sweep file's metric has changed since.
                self._rank(_Arrival(*key, self._measured[key]))

    def _settle(self, states: list[TrialState]) -> None:
        """Reach the verdicts that the journal lacks."""
        missing = [
            (trial, arrival)
            for trial in states
            for arrival in self._arrivals(trial)
            if self._journal.verdict(*arrival.key) is None
        ]
        implied = [(arrival, trial.implied_verdict(arrival.rung)) for trial, arrival in missing]
        self._journal.add([self._verdict(arrival, verdict) for arrival, verdict in implied if verdict is not None])
        self._catch_up()
        for arrival, verdict in implied:
            if verdict is None:
                self._decide(arrival)

    def _decide(self, arrival: "_Arrival") -> Verdict:
        """Have Ray's ASHA decide, and write the verdict down."""
        action = self._rank(arrival)
        verdict = self._verdict(arrival, "stop" if action == TrialScheduler.STOP else "continue")
        self._journal.add([verdict])
        return verdict

    def _rank(self, arrival: "_Arrival") -> str:
        """Add a value to its rung, once: Ray would count a second report towards a lower rung."""
        self._ranked.add(arrival.key)
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

    def _arrivals(self, trial: TrialState) -> list["_Arrival"]:
        """A trial's values at the rungs that its records have reached."""
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
