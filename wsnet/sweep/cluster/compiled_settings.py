"""Resolves `execution.compile: auto` for the settings of a sweep, once for all trials of a setting.

Kept in the sweep's folder, so that later starts compile alike: compiled steps round differently from eager ones.
"""

import json
from collections.abc import Iterable
from dataclasses import replace

from wsnet.storage import DamagedFile, Folder, trial_directory
from wsnet.sweep.cluster.resources import Allocation
from wsnet.sweep.planning.plan import Plan, PlannedTrial
from wsnet.sweep.resume import TrialState

__all__ = ["compiled_settings"]

_FILE = "compiled.json"


def compiled_settings(plan: Plan, states: list[TrialState], folder: Folder, allocation: Allocation) -> frozenset[str]:
    """The setting_ids that `execution.compile: auto` compiles.

    A setting of which a trial has been started goes on as that was computed. The others are compiled where the dry
    run's estimate of a trial's time says that it is worth it; on GPUs and with several workers they are not.

    Args:
        plan: the plan.
        states: its trials as earlier starts left them.
        folder: the sweep's folder, in which the decisions are kept.
        allocation: what each trial gets.
    """
    asked = {t.entry.setting_id: t for t in plan.trials if t.config.execution.compile == "auto"}
    if not asked:
        return frozenset()
    kept = _read(folder)
    new = {setting_id: trial for setting_id, trial in asked.items() if setting_id not in kept}
    if new:
        begun = _as_begun(states, new, folder)
        undecided = [trial for setting_id, trial in new.items() if setting_id not in begun]
        kept |= begun | _decided(plan, undecided, allocation)
        folder.write(_FILE, (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode())
    return frozenset(setting_id for setting_id in asked if kept[setting_id])


def _decided(plan: Plan, trials: list[PlannedTrial], allocation: Allocation) -> dict[str, bool]:
    """Whether each setting is compiled, given a trial of each."""
    from wsnet.sweep.planning.estimate import estimate  # Only a sweep that asks for it waits for these imports.
    from wsnet.training.compiling import is_worth_compiling

    found = {trial.entry.setting_id: False for trial in trials}
    possible = [trial for trial in trials if _is_possible(plan, trial, allocation)]
    if possible:
        slots = min(allocation.concurrent, len(plan.trials))
        threads = max(1, int(allocation.cpus))
        cost = estimate(replace(plan, trials=possible), threads=threads, gpus=allocation.gpus, slots=slots)
        found |= {
            setting_id: is_worth_compiling(seconds, plan.sizes[setting_id].operations)
            for setting_id, seconds in cost.per_trial.items()
        }
    return found


def _is_possible(plan: Plan, trial: PlannedTrial, allocation: Allocation) -> bool:
    from wsnet.sweep.planning.estimate import settled_device
    from wsnet.training.compiling import can_compile

    is_on_cpu = settled_device(trial.config.execution, allocation.gpus) == "cpu"
    return is_on_cpu and plan.sweep.config.resources.workers == 1 and can_compile(trial.config)


def _as_begun(states: list[TrialState], settings: Iterable[str], folder: Folder) -> dict[str, bool]:
    """By setting_id, how the first of its trials that were started is computed."""
    found: dict[str, bool] = {}
    for state in states:
        if state.status is None or state.setting_id in found or state.setting_id not in settings:
            continue
        try:
            execution = trial_directory(folder, state.trial_id).execution()
        except DamagedFile:
            continue
        if execution is not None:
            found[state.setting_id] = execution.get("compile") is True
    return found


def _read(folder: Folder) -> dict[str, bool]:
    """What earlier starts have decided; nothing if the file is absent or damaged."""
    try:
        kept = json.loads(folder.read(_FILE) or b"{}")
        return {str(key): value is True for key, value in kept.items()}
    except (ValueError, AttributeError):
        return {}
