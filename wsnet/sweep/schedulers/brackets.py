"""Settings compared at rungs by the median over their seeds: the decisions, without Ray and without files."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsnet.config.schedulers import HyperbandConfig, MedianConfig, RungConfig
from wsnet.sweep.schedulers.stopping_rules import Halving, MedianRule, Rule, deal

__all__ = ["Bracket", "Decision", "brackets_of"]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided about a setting at a rung.

    Attributes:
        setting_id: the setting.
        rung: the epoch.
        median: the median over its seeds that was compared; infinite if half of them diverged.
        continues: whether all its seeds continue, or all stop.
    """

    setting_id: str
    rung: int
    median: float
    continues: bool


class Bracket:
    """Settings that are compared with each other at the same rungs.

    A setting has arrived at a rung when all of its seeds have a value there, except those that have failed. A seed that
    diverged counts as infinite at every later rung. One that finished before the rung counts with its last value. A
    setting all of whose seeds have failed is out: it is not compared, and no rung waits for it.

    Args:
        rungs: the epochs at which it decides, increasing.
        settings: the trials of each setting, in the order of the sweep file.
        rule: how it decides.
    """

    def __init__(self, rungs: tuple[int, ...], settings: Mapping[str, Sequence[str]], rule: Rule) -> None:
        self.rungs = rungs
        self._seeds = {setting: list(trials) for setting, trials in settings.items()}
        self._setting_of = {trial: setting for setting, trials in settings.items() for trial in trials}
        self._rule = rule
        self._values: dict[str, dict[int, float]] = {trial: {} for trial in self._setting_of}
        self._last: dict[str, float] = {}
        self._failed: set[str] = set()
        self._decided: set[tuple[str, int]] = set()
        self._level: dict[str, int] = {}  # Last rung at which a setting was decided; rungs before it are past.
        self._stopped: dict[str, int] = {}
        self._medians: dict[int, dict[str, float]] = {rung: {} for rung in rungs}  # Of the settings that have arrived.
        self._changed: set[int] = set(rungs)

    def measured(self, trial_id: str, rung: int, value: float | None) -> None:
        """A trial has reached a rung; only its first value there counts.

        Args:
            trial_id: the trial.
            rung: the rung.
            value: its metric; lower is better. What is not finite counts as infinite.
        """
        self._values[trial_id].setdefault(rung, _ranked(value))
        self._arrive(self._setting_of[trial_id])

    def ended(self, trial_id: str, value: float | None) -> None:
        """A trial has no epochs left; its last value counts at all later rungs (None: it diverged)."""
        self._last[trial_id] = _ranked(value)
        self._arrive(self._setting_of[trial_id])

    def failed(self, trial_id: str) -> None:
        """A trial has crashed for good; its setting is compared by the seeds that are left."""
        self._failed.add(trial_id)
        self._changed.update(self.rungs)  # A rung may have waited for it alone.
        self._arrive(self._setting_of[trial_id])

    def restore(self, setting: str, rung: int, *, continues: bool, median: float | None) -> None:
        """Take over an earlier decision, which stands.

        Args:
            setting: the setting.
            rung: the epoch, which need not be a rung any more.
            continues: what was decided.
            median: what was compared; None for what is known now of its seeds.
        """
        if (setting, rung) in self._decided:
            return
        self._decide(setting, rung, continues=continues)
        known = self.median(setting, rung) if median is None else median
        if rung in self._medians and known is not None:
            self._medians[rung][setting] = known
        self._arrive(setting)

    def decide(self) -> list[Decision]:
        """Decide whatever can be decided now, and return it, rung by rung, in the order of the sweep file."""
        decisions: list[Decision] = []
        for rung in self.rungs:  # Decisions at a rung may let settings arrive at later ones only.
            if rung in self._changed:
                self._changed.discard(rung)
                decisions += self._decide_at(rung)
        return decisions

    def next_rung(self, setting: str) -> int | None:
        """Where a setting's seeds must wait for a decision: the first rung after the last decided one."""
        return next((rung for rung in self.rungs if rung > self._level.get(setting, 0)), None)

    def stopped_at(self, setting: str) -> int | None:
        """The rung at which a setting was stopped, or None."""
        return self._stopped.get(setting)

    def value(self, trial_id: str, rung: int) -> float | None:
        """A trial's value at a rung: infinite once it has diverged, None where it has none yet."""
        return self._values[trial_id].get(rung, self._last.get(trial_id))

    def median(self, setting: str, rung: int) -> float | None:
        """The median that was or would be compared; None if no seed has a value."""
        if (known := self._medians.get(rung, {}).get(setting)) is not None:
            return known
        values = [value for trial in self.living(setting) if (value := self.value(trial, rung)) is not None]
        return statistics.median(values) if values else None

    def living(self, setting: str) -> list[str]:
        """The seeds of a setting that have not failed."""
        return [trial for trial in self._seeds[setting] if trial not in self._failed]

    def _arrive(self, setting: str) -> None:
        """Note whether a setting has arrived at its next rung."""
        rung = self.next_rung(setting)
        if rung is None or setting in self._stopped:
            return
        values = [self.value(trial, rung) for trial in self.living(setting)]
        there = [value for value in values if value is not None]
        self._changed.add(rung)
        if there and len(there) == len(values):
            self._medians[rung][setting] = statistics.median(there)
        else:
            self._medians[rung].pop(setting, None)

    def _decide_at(self, rung: int) -> list[Decision]:
        there = self._medians[rung]
        medians = {setting: there[setting] for setting in self._seeds if setting in there}
        undecided = [setting for setting in medians if self._level.get(setting, 0) < rung]
        if not undecided:
            return []
        chosen = self._rule.choose(medians, undecided, is_closed=self._is_closed(rung))
        for setting, continues in chosen.items():
            self._decide(setting, rung, continues=continues)
            self._arrive(setting)  # Trials that have ended are at the next rung at once.
        return [
            Decision(setting_id=setting, rung=rung, median=medians[setting], continues=continues)
            for setting, continues in chosen.items()
        ]

    def _decide(self, setting: str, rung: int, *, continues: bool) -> None:
        self._decided.add((setting, rung))
        self._level[setting] = max(rung, self._level.get(setting, 0))
        if not continues:
            self._stopped.setdefault(setting, rung)
            self._changed.update(later for later in self.rungs if later > rung)  # They may have waited for it.

    def _is_closed(self, rung: int) -> bool:
        """Whether no setting can arrive at a rung any more that has not."""
        there = self._medians[rung]
        return not any(setting not in there and self._may_arrive(setting, rung) for setting in self._seeds)

    def _may_arrive(self, setting: str, rung: int) -> bool:
        if setting in self._stopped or self._level.get(setting, 0) > rung:
            return False
        return bool(self.living(setting))


def brackets_of(
    config: RungConfig, epochs: int, settings: Mapping[str, Sequence[str]], cells: Mapping[str, str]
) -> dict[str, Bracket]:
    """The bracket of each setting.

    Args:
        config: rungs and rule.
        epochs: of the longest trial.
        settings: the trials of each setting, in the order of the sweep file.
        cells: the cell of the table that each setting is a candidate for; only candidates for one cell are compared.
    """
    candidates: dict[str, list[str]] = {}
    for setting in settings:
        candidates.setdefault(cells[setting], []).append(setting)
    found: dict[str, Bracket] = {}
    for of_cell in candidates.values():
        rungs, dealt = config.rungs(epochs), [of_cell]
        if isinstance(config, HyperbandConfig):
            dealt = deal(of_cell, brackets=len(rungs), eta=config.eta)
        for own, part in zip(rungs, dealt, strict=True):
            found |= dict.fromkeys(part, Bracket(own, {setting: settings[setting] for setting in part}, _rule(config)))
    return found


def _rule(config: RungConfig) -> Rule:
    if isinstance(config, MedianConfig):
        return MedianRule(min_settings=config.min_settings, sync=config.mode == "sync")
    return Halving(eta=config.eta, sync=config.mode == "sync")


def _ranked(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else math.inf
