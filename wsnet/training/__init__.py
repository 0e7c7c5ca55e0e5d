"""One trial, trained: `fit` and what it is made of. Knows no ray and no mlflow."""

from wsnet.training.checkpoint import Checkpoint, CheckpointError
from wsnet.training.errors import TrialError
from wsnet.training.fit import Report, Result, fit
from wsnet.training.loop import Training, Watch
from wsnet.training.trial import Trial

__all__ = ["Checkpoint", "CheckpointError", "Report", "Result", "Training", "Trial", "TrialError", "Watch", "fit"]
