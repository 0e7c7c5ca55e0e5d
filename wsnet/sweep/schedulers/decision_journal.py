"""A sweep's decisions about its settings: made once, written to the journal, and replayed at the next start."""

import json
from collections.abc import Mapping
from typing import Any

from wsnet.config.schedulers import RungConfig
from wsnet.storage import RungJournal, Status, Verdict
from wsnet.storage.trial_directory import Record
from wsnet.sweep.resume import TrialState
from wsnet.sweep.schedulers.brackets import Bracket, Decision, brackets_of

__all__ = ["SettingDecisions"]

_ENDED = ("finished", "diverged")


class SettingDecisions:
    """Which settings stop and which continue, with a journal: each decision is written down before anyone acts on it.

    It starts from the journal and the records of earlier starts, and decides at once what can be decided from them.

    Args:
        config: metric, rungs and rule.
        epochs: of the longest trial.
        journal: the sweep's journal.
        states: the plan's trials as earlier starts left them, in the plan's order. Others in the journal are ignored.
        over: axes that the report chooses over. Settings are compared only if they differ in no other axis.
    """

    def __init__(
        self,
        config: RungConfig,
        *,
        epochs: int,
        journal: RungJournal,
        states: list[TrialState],
        over: tuple[str, ...] = (),
    ) -> None:
        self._metric, self._journal = config.metric, journal
        self._states = {state.trial_id: state for state in states}
        self._setting_of = {state.trial_id: state.trial.entry.setting_id for state in states}
        seeds: dict[str, list[str]] = {}
        for trial_id, setting in self._setting_of.items():
            seeds.setdefault(setting, []).append(trial_id)
        cells = {state.setting_id: _cell(state, over) for state in states}
        self._bracket_of = brackets_of(config, epochs, seeds, cells)
        self._epoch = dict.fromkeys(self._states, 0)
        self._over: set[str] = set()
        self._replayed = 0
        for state in states:
            self._take_in(state)
        with journal.held():
            self._catch_up()
            self._leave_out_stopped()
            self._decide()
            journal.add([verdict for trial_id in self._states for verdict in self._missing(trial_id)])

    @property
    def rungs(self) -> dict[str, tuple[int, ...]]:
        """The rungs of each trial, by trial_id."""
        return {trial_id: self._of(trial_id).rungs for trial_id in self._states}

    @property
    def order(self) -> list[str]:
        """Every trial, setting by setting."""
        return list(self._states)

    def stopped(self, trials: list[TrialState]) -> dict[str, int]:
        """The trials that have reached the rung at which their setting was stopped, by trial_id, with their epoch."""
        return {
            state.trial_id: self._epoch[state.trial_id]
            for state in trials
            if state.trial_id not in self._over and self.must_stop(state.trial_id)
        }

    def must_stop(self, trial_id: str) -> bool:
        """Whether a trial has reached the rung at which its setting was stopped."""
        rung = self._of(trial_id).stopped_at(self._setting_of[trial_id])
        return rung is not None and self._epoch[trial_id] >= rung

    def is_over(self, trial_id: str) -> bool:
        """Whether a trial has ended or failed."""
        return trial_id in self._over

    def may_run(self, trial_id: str) -> bool:
        """Whether a trial has an epoch to train before the next decision about its setting."""
        bracket, setting = self._of(trial_id), self._setting_of[trial_id]
        limit = bracket.stopped_at(setting) or bracket.next_rung(setting)
        return trial_id not in self._over and (limit is None or self._epoch[trial_id] < limit)

    def level(self, trial_id: str) -> int:
        """How many rungs a trial's setting is past."""
        bracket = self._of(trial_id)
        rung = bracket.next_rung(self._setting_of[trial_id])
        return len(bracket.rungs) if rung is None else bracket.rungs.index(rung)

    def waiting(self, setting_id: str) -> list[str]:
        """Trials of a stopped setting that have reached the rung at which it was stopped, but have not ended."""
        living = self._bracket_of[setting_id].living(setting_id)
        return [trial_id for trial_id in living if trial_id not in self._over and self.must_stop(trial_id)]

    def reported(self, trial_id: str, record: Mapping[str, Any]) -> list[Decision]:
        """A trial has reported an epoch, or its latest one again after a restart.

        Returns:
            What has been decided now; it is in the journal.
        """
        status = _ending(self._states[trial_id], record)
        is_at_rung = record["epoch"] in self._of(trial_id).rungs and self._metric in record
        if status is None and not is_at_rung:
            self._epoch[trial_id] = max(int(record["epoch"]), self._epoch[trial_id])
            return []
        with self._journal.held():
            self._catch_up()
            self._measure(trial_id, record, status)
            decisions = self._decide()
            self._journal.add(self._missing(trial_id))
        return decisions

    def left(self, trial_id: str, status: Status | None, records: list[Record]) -> list[Decision]:
        """A trial will not report any more: it has failed for good, or another start of the sweep has trained it.

        Args:
            trial_id: the trial.
            status: from its directory.
            records: from its directory.

        Returns:
            What has been decided now; it is in the journal.
        """
        with self._journal.held():
            self._catch_up()
            ending = status if status is not None and status.status in _ENDED else None
            for record in records:
                self._measure(trial_id, record, ending if record is records[-1] else None)
            if ending is None:
                self._fail(trial_id)
            return self._decide()

    def catch_up(self) -> None:
        """Read what another start of the sweep, running now, has decided."""
        with self._journal.held():
            self._catch_up()

    def _of(self, trial_id: str) -> Bracket:
        return self._bracket_of[self._setting_of[trial_id]]

    def _take_in(self, state: TrialState) -> None:
        """What is known of a trial at the start of the sweep. Failed ones are tried again."""
        for record in state.records[:-1]:
            self._measure(state.trial_id, record, None)
        last = state.records[-1] if state.records else {}
        ending = state.status if state.status is not None and state.status.status in _ENDED else _ending(state, last)
        if last:
            self._measure(state.trial_id, last, ending)
        elif ending is not None:
            self._end(state.trial_id, ending, last)

    def _leave_out_stopped(self) -> None:
        """Trials that the user, or a scheduler of single trials, has stopped will have no value at the next rung."""
        for trial_id, state in self._states.items():
            if state.is_done and state.status is not None and state.status.status == "stopped":
                self._over.add(trial_id)
                if not self.must_stop(trial_id):
                    self._fail(trial_id)

    def _measure(self, trial_id: str, record: Mapping[str, Any], ending: Status | None) -> None:
        epoch = int(record["epoch"])
        self._epoch[trial_id] = max(epoch, self._epoch[trial_id])
        if epoch in self._of(trial_id).rungs and self._metric in record:
            diverged = ending is not None and ending.status == "diverged"
            self._of(trial_id).measured(trial_id, epoch, None if diverged else record[self._metric])
        if ending is not None:
            self._end(trial_id, ending, record)

    def _end(self, trial_id: str, status: Status, record: Mapping[str, Any]) -> None:
        self._over.add(trial_id)
        self._of(trial_id).ended(trial_id, record.get(self._metric) if status.status == "finished" else None)

    def _fail(self, trial_id: str) -> None:
        self._over.add(trial_id)
        self._of(trial_id).failed(trial_id)

    def _catch_up(self) -> None:
        """Replay the journal's verdicts that are new here: of earlier starts, or of another one running now."""
        verdicts = self._journal.verdicts()
        for verdict in verdicts[self._replayed :]:
            setting = verdict.setting_id or self._setting_of.get(verdict.trial_id)
            if setting in self._bracket_of:
                self._bracket_of[setting].restore(
                    setting, verdict.rung, continues=verdict.verdict == "continue", median=self._median(verdict)
                )
        self._replayed = len(verdicts)

    def _median(self, verdict: Verdict) -> float | None:
        """The median that a verdict compared; None if the sweep file's metric has changed since."""
        if verdict.metric != self._metric:
            return None
        median = verdict.value if verdict.setting_id is None else verdict.median
        return float("inf") if median is None else median

    def _decide(self) -> list[Decision]:
        """Decide what can be decided, and write it down: all seeds of all settings in one write."""
        brackets = dict.fromkeys(self._bracket_of.values())
        decisions = [decision for bracket in brackets for decision in bracket.decide()]
        self._journal.add([verdict for decision in decisions for verdict in self._verdicts(decision)])
        return decisions

    def _verdicts(self, decision: Decision) -> list[Verdict]:
        bracket = self._bracket_of[decision.setting_id]
        return [self._verdict(trial, decision) for trial in bracket.living(decision.setting_id)]

    def _verdict(self, trial_id: str, decision: Decision) -> Verdict:
        return Verdict(
            trial_id=trial_id,
            rung=decision.rung,
            metric=self._metric,
            value=_finite(self._of(trial_id).value(trial_id, decision.rung)),
            verdict="continue" if decision.continues else "stop",
            setting_id=decision.setting_id,
            median=_finite(decision.median),
        )

    def _missing(self, trial_id: str) -> list[Verdict]:
        """The verdicts that a trial lacks in the journal: a write was cut off, or the seed is new, or tried again."""
        bracket, setting = self._of(trial_id), self._setting_of[trial_id]
        next_rung, stop = bracket.next_rung(setting), bracket.stopped_at(setting)
        ends = [end for end in (next_rung, stop and stop + 1, self._epoch[trial_id] + 1) if end is not None]
        found = []
        for rung in (rung for rung in bracket.rungs if rung < min(ends)):
            median = bracket.median(setting, rung)
            if median is not None and self._journal.verdict(trial_id, rung) is None:
                decision = Decision(setting_id=setting, rung=rung, median=median, continues=rung != stop)
                found.append(self._verdict(trial_id, decision))
        return found


def _cell(state: TrialState, over: tuple[str, ...]) -> str:
    """The values of the axes that are not chosen over; one for all settings if nothing is chosen."""
    axes = state.trial.entry.axes
    return json.dumps({key: axes[key] for key in sorted(axes) if key not in over}) if over else ""


def _ending(state: TrialState, record: Mapping[str, Any]) -> Status | None:
    """How a trial has ended with a record; None if it goes on."""
    from wsnet.training.fit import ending

    return ending(state.trial.config.train, [dict(record)] if record else [])


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") else None
