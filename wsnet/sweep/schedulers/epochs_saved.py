"""How many epochs a scheduler has saved, in one line."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["TrialEpochs", "describe_savings"]


@dataclass(frozen=True, kw_only=True)
class TrialEpochs:
    """What a trial was trained for.

    Attributes:
        setting_id: its setting.
        trained: epochs done.
        full: epochs of the whole training.
        is_stopped: whether the scheduler has stopped it.
    """

    setting_id: str
    trained: int
    full: int
    is_stopped: bool


def describe_savings(trials: Iterable[TrialEpochs]) -> str:
    """`scheduler: 108 of 648 epochs trained; 540 saved by stopping 18 of 24 trials (6 of 8 settings)`.

    Args:
        trials: every trial of a sweep.
    """
    trials = list(trials)
    stopped = [trial for trial in trials if trial.is_stopped]
    done, full = sum(trial.trained for trial in trials), sum(trial.full for trial in trials)
    saved = sum(trial.full - trial.trained for trial in stopped)
    settings = len({trial.setting_id for trial in trials})
    of_settings = f"{len({trial.setting_id for trial in stopped})} of {settings} settings"
    what = f"stopping {len(stopped)} of {len(trials)} trials ({of_settings})"
    return f"scheduler: {done:,} of {full:,} epochs trained; {saved:,} saved by {what}"
