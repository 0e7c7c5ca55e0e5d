"""Estimates how long a plan takes: from one timed network and each model's counts, or from timed steps of each model.

Separate from `dry_run`, which prints the settings before torch is imported.
"""

from dataclasses import dataclass

from wsnet.config import ExecutionConfig, TrialConfig
from wsnet.config.schedulers import FifoConfig
from wsnet.cpu_threads import busy_cores, cpu_threads
from wsnet.sweep.planning.costs import epoch_counts
from wsnet.sweep.planning.needs import checkpoint_bytes
from wsnet.sweep.planning.plan import Plan
from wsnet.sweep.planning.reference import Reference
from wsnet.sweep.planning.stopwatch import Stopwatch
from wsnet.sweep.time_left import EPOCH, TRIAL
from wsnet.training import why_not_stacked

__all__ = ["Estimate", "estimate", "settled_device"]

_MOST_SLOTS = 8
"""Slots from which on more of them are not imitated."""

_BESIDE = 0.15
"""What each further seed side by side adds to the time of a step's calls of operators (benchmarks/stacked.py)."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a plan costs.

    Attributes:
        per_trial: seconds of one trial, by setting_id.
        devices: where it would run, by setting_id.
        checkpoint_bytes: size of the checkpoints left at the end.
    """

    per_trial: dict[str, float]
    devices: dict[str, str]
    checkpoint_bytes: int


def estimate(plan: Plan, *, threads: int, gpus: float, slots: int = 1, is_timed: bool = False) -> Estimate:
    """Estimate the time of every setting of a plan.

    Args:
        plan: the plan.
        threads: CPU threads that a trial would get.
        gpus: GPUs that it would get.
        slots: trials that would run at a time, which share caches and more.
        is_timed: time a few steps of each model (of some of each kind, where there are many), instead of steps of one
            small network from whose time those of the others are computed.
    """
    settings = {trial.entry.setting_id: trial.config for trial in plan.trials}
    devices = {setting_id: settled_device(config.execution, gpus) for setting_id, config in settings.items()}
    others = 0 if gpus else min(slots, _MOST_SLOTS) - 1
    with cpu_threads(threads):
        with busy_cores(others):
            clocks: dict[str, Stopwatch | Reference] = {
                device: Stopwatch(device) if is_timed else Reference(device) for device in set(devices.values())
            }
        with busy_cores(others if is_timed else 0):
            per_trial = {
                setting_id: _trial_seconds(
                    config,
                    *clocks[devices[setting_id]].line(config, plan.sizes[setting_id]),
                    side_by_side=_side_by_side(config, plan, devices[setting_id]),
                )
                for setting_id, config in settings.items()
            }
    of_checkpoints = sum(
        checkpoint_bytes(trial.config, plan.sizes[trial.entry.setting_id].parameters) for trial in plan.trials
    )
    return Estimate(per_trial=per_trial, devices=devices, checkpoint_bytes=of_checkpoints)


def _trial_seconds(config: TrialConfig, per_pass: float, per_image: float, *, side_by_side: int = 1) -> float:
    counts = epoch_counts(config)
    per_pass *= (1 + _BESIDE * (side_by_side - 1)) / side_by_side
    return TRIAL + config.train.epochs * (counts.passes * per_pass + counts.images * per_image + EPOCH)


def _side_by_side(config: TrialConfig, plan: Plan, device: str) -> int:
    """How many seeds of a setting would be trained side by side."""
    sweep = plan.sweep.config
    if sweep.resources.stack == 1 or not isinstance(sweep.scheduler, FifoConfig):
        return 1
    if why_not_stacked(config, workers=sweep.resources.workers) is not None:
        return 1
    seeds = len(sweep.seed_list)
    if sweep.resources.stack == "auto":
        return seeds if device == "cpu" else 1
    return min(seeds, sweep.resources.stack)


def settled_device(execution: ExecutionConfig, gpus: float) -> str:
    """Where trials would run on this machine."""
    return ("cuda" if gpus else "cpu") if execution.device == "auto" else execution.device
