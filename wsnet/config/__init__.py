"""The definition of an experiment: typed, frozen, strict configuration classes. Does not import torch."""

from wsnet.config.errors import ConfigError, Mistake
from wsnet.config.identity import NUMERICS, canonical, setting_id, trial_id
from wsnet.config.reading.checked_sweep import Setting, Sweep
from wsnet.config.reading.keys import dotted_keys
from wsnet.config.reading.read import read_sweep, read_trial
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import ExecutionConfig, TrialConfig

__all__ = [
    "NUMERICS",
    "ConfigError",
    "ExecutionConfig",
    "Mistake",
    "Setting",
    "Sweep",
    "SweepConfig",
    "TrialConfig",
    "canonical",
    "dotted_keys",
    "read_sweep",
    "read_trial",
    "setting_id",
    "trial_id",
]
