"""Prepares a trial where it is trained."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsnet.sweep.trainable import SweepContext
    from wsnet.training import Trial

__all__ = ["prepare_trial"]


def prepare_trial(trial_id: str, context: "SweepContext") -> "Trial":
    """Prepare a trial with its images, which must be those that it was planned with.

    Planning has checked every file of a streamed set. Here the cached index is enough, unless it yields another
    trial_id: on another machine it may predate a file that was overwritten.

    Raises:
        TrialError: they are others.
    """
    from wsnet.training import Trial
    from wsnet.training.execution import TrialError

    config, cpus = context.config(trial_id), max(1, int(context.cpus))
    for check in (False, True):
        trial = Trial.prepare(config, root=Path(context.data_root), cpus=cpus, workers=context.workers, check=check)
        if trial.trial_id == trial_id:
            return trial
    raise TrialError(
        f"the images have changed since the sweep was planned (with them, this trial is {trial.trial_id}); "
        "run the same command again, which plans the sweep with the images as they are"
    )
