"""The definition of an experiment: typed, frozen, strict configuration classes. Does not import torch."""

from typing import TYPE_CHECKING

from wsnet.lazy import lazy_names

if TYPE_CHECKING:
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

# Loaded when first used: building all classes takes 0.7 s, and a report needs only a few of them.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "NUMERICS": "identity",
        "ConfigError": "errors",
        "ExecutionConfig": "trial",
        "Mistake": "errors",
        "Setting": "reading.checked_sweep",
        "Sweep": "reading.checked_sweep",
        "SweepConfig": "sweep",
        "TrialConfig": "trial",
        "canonical": "identity",
        "dotted_keys": "reading.keys",
        "read_sweep": "reading.read",
        "read_trial": "reading.read",
        "setting_id": "identity",
        "trial_id": "identity",
    },
)
