"""Which trials of a sweep are trained side by side (`resources.stack`): seeds of one setting, in place of one trial.

A trial that has been started goes on as it was, alone or in the same stack: the last bits of its results depend on it.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsnet.config import ConfigError, Mistake
from wsnet.config.errors import counted
from wsnet.storage import DamagedFile, Folder, trial_directory

if TYPE_CHECKING:
    from wsnet.config import TrialConfig
    from wsnet.sweep.planning.plan import Plan
    from wsnet.sweep.resume import TrialState

__all__ = ["STACKED", "Stack", "describe_stacks", "stacks_among", "stacks_of"]

STACK = "stack"
"""Where an execution record has the seeds that were trained side by side."""

STACKED = "stacked"
"""Where a stack's report to Tune has the record of each trial, by trial_id."""

_FILE = "stacks.json"
"""Setting_id to whether its seeds are trained side by side, of the settings about which `auto` has decided."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Seeds that are trained side by side.

    Attributes:
        seeds: all of them, in their places.
        trial_ids: the trials to train; the others' places are computed, and nothing of them is kept.
    """

    seeds: tuple[int, ...]
    trial_ids: tuple[str, ...]


def stacks_of(
    missing: "list[TrialState]",
    plan: "Plan",
    folder: Folder,
    *,
    has_scheduler: bool,
    slots: int,
    is_faster: "Callable[[TrialConfig, int], bool]",
) -> dict[str, Stack]:
    """Choose which trials are trained side by side, by the trial_id of the first trial of each stack.

    Args:
        missing: the trials to run, in starting order.
        plan: the plan.
        folder: the sweep's folder.
        has_scheduler: whether a scheduler may stop trials; then no new stack is formed.
        slots: how many trials run at a time; `auto` leaves none of them idle.
        is_faster: whether a step of so many seeds side by side is faster than one after the other, for `auto`.

    Raises:
        ConfigError: a scheduler may stop trials that were begun side by side.
    """
    groups: dict[tuple[str, tuple[int, ...]], list[TrialState]] = {}
    new: dict[str, list[TrialState]] = {}
    begun = (folder / "trials").existing([f"{state.trial_id}/execution.json" for state in missing])
    for state, is_begun in zip(missing, begun, strict=True):
        seeds = _begun_in(state, folder) if is_begun else None
        if seeds:
            groups.setdefault((state.setting_id, seeds), []).append(state)
        elif seeds is None and not has_scheduler:
            new.setdefault(state.setting_id, []).append(state)
    if groups and has_scheduler:
        trials = sum(map(len, groups.values()))
        begun_so = f"{counted(trials, 'unfinished trial')} {'was' if trials == 1 else 'were'} begun side by side"
        rule = f"{begun_so} (resources.stack), so no scheduler may stop any; leave it out until they have ended"
        raise ConfigError([Mistake(plan.path, "scheduler.name", rule)])
    for chunk in _new_stacks(list(new.values()), plan, folder, slots, is_faster):
        groups[chunk[0].setting_id, tuple(state.trial.entry.seed for state in chunk)] = chunk
    return {
        states[0].trial_id: Stack(seeds=seeds, trial_ids=tuple(state.trial_id for state in states))
        for (_, seeds), states in groups.items()
    }


def stacks_among(stacks: Mapping[str, Stack], trial_ids: Collection[str]) -> dict[str, Stack]:
    """The stacks, with only some of their trials to train, by the trial_id of the first of these."""
    kept = (replace(s, trial_ids=tuple(each for each in s.trial_ids if each in trial_ids)) for s in stacks.values())
    return {stack.trial_ids[0]: stack for stack in kept if stack.trial_ids}


def describe_stacks(stacks: Mapping[str, Stack]) -> str:
    """A line about the stacks, of which there is at least one."""
    trials = sum(len(stack.trial_ids) for stack in stacks.values())
    widths = sorted({len(stack.seeds) for stack in stacks.values()})
    width = f"{widths[0]}" if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
    return f"{counted(trials, 'trial')} in {counted(len(stacks), 'stack')}: {width} seeds of a setting side by side"


def _begun_in(state: "TrialState", folder: Folder) -> tuple[int, ...] | None:
    """The stack that a trial was started in, empty if alone; None if it made no step yet."""
    try:
        execution = trial_directory(folder, state.trial_id).execution()
    except DamagedFile:  # `fit` sets it aside, and starts the trial anew.
        return None
    return None if execution is None else tuple(execution.get(STACK, ()))


def _new_stacks(
    settings: "list[list[TrialState]]",
    plan: "Plan",
    folder: Folder,
    slots: int,
    is_faster: "Callable[[TrialConfig, int], bool]",
) -> "Iterator[list[TrialState]]":
    """Of the trials of each setting that were not started yet, those to train side by side."""
    from wsnet.training import why_not_stacked

    resources = plan.sweep.config.resources
    width = resources.stack
    if width == 1:
        return
    decided = _read(folder)
    for states in settings:
        config = states[0].trial.config
        if len(states) < 2 or why_not_stacked(config, workers=resources.workers) is not None:
            continue
        if width == "auto":
            if states[0].setting_id not in decided:
                decided[states[0].setting_id] = len(settings) >= slots and is_faster(config, len(states))
            if not decided[states[0].setting_id]:
                continue
        ordered = sorted(states, key=lambda state: state.trial.entry.seed)
        size = len(ordered) if width == "auto" else width
        chunks = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        yield from (chunk for chunk in chunks if len(chunk) > 1)
    if width == "auto":
        folder.write(_FILE, (json.dumps(decided, indent=1) + "\n").encode())


def _read(folder: Folder) -> dict[str, bool]:
    """What `auto` has decided before."""
    try:
        return dict(json.loads(folder.read(_FILE) or b"{}"))
    except (ValueError, TypeError):  # Damaged: what has been started is in the trials' execution records, too.
        return {}
