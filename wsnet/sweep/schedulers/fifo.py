"""First come, first served, for any number of trials."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

__all__ = ["InOrder"]


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
