"""Training of one trial: `fit` and its parts. Independent of Ray and MLflow."""

from wsnet.training.checkpoint import Checkpoint, CheckpointError
from wsnet.training.execution import TrialError
from wsnet.training.fit import EpochCallback, Result, fit
from wsnet.training.loop import StepCallback, Training
from wsnet.training.stacked import StackedTraining, why_not_stacked
from wsnet.training.trial import Trial

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "EpochCallback",
    "Result",
    "StackedTraining",
    "StepCallback",
    "Training",
    "Trial",
    "TrialError",
    "fit",
    "why_not_stacked",
]
