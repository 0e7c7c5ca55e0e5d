"""Successive halving that remembers what earlier starts of the sweep saw."""

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler

from wsnet.config.sweep import AshaConfig
from wsnet.storage.trial_directory import Record

__all__ = ["ResumedAsha"]


class ResumedAsha(ASHAScheduler):  # type: ignore[misc]
    """Ray's ASHA (Li et al. 2020), which starts out empty, told the records of the epochs that are done.

    Tune's own way to go on restores a snapshot, which is older than the last epochs and holds what is known to be done.

    Args:
        config: rungs and metric.
        max_t: epochs of the longest trial.
        done: records of trials that are never run again, by trial_id.
        begun: records of trials that go on, by trial_id.
    """

    def __init__(
        self, config: AshaConfig, *, max_t: int, done: dict[str, list[Record]], begun: dict[str, list[Record]]
    ) -> None:
        super().__init__(
            time_attr="epoch",
            metric=config.metric,
            mode="min",
            max_t=max_t,
            grace_period=config.grace,
            reduction_factor=config.eta,
        )
        self._begun = begun
        for trial_id, records in done.items():
            trial = SimpleNamespace(trial_id=trial_id)
            super().on_trial_add(None, trial)
            self._retell(trial, records)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial joins; one that goes on brings its records along."""
        super().on_trial_add(tune_controller, trial)
        self._retell(trial, self._begun.get(trial.config["trial_id"], []))

    def _retell(self, trial: Any, records: list[Record]) -> None:
        # What comes back is not heeded: the trial did go on, or has ended.
        for record in records:
            super().on_trial_result(None, trial, record)
