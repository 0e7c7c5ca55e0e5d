"""One trial, trained: `fit` and what it is made of. Knows no ray and no mlflow."""

from wsnet.training.checkpoint import Checkpoint, CheckpointError
from wsnet.training.execution import TrialError
from wsnet.training.fit import EpochCallback, Result, fit
from wsnet.training.loop import StepCallback, Training
from wsnet.training.trial import Trial

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "EpochCallback",
    "Result",
    "StepCallback",
    "Training",
    "Trial",
    "TrialError",
    "fit",
]
