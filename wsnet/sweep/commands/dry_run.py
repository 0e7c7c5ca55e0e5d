"""`--dry-run`: what a sweep file asks for, and what it would cost."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from wsnet.config import Sweep, canonical
from wsnet.config.errors import counted
from wsnet.config.reading.yaml_lines import dump_yaml
from wsnet.config.scaling import describe_scaling
from wsnet.sweep.formatting import Side, duration, print_table, readable_size

if TYPE_CHECKING:
    from wsnet.storage import Folder
    from wsnet.sweep.planning.extend_epochs import Shorter
    from wsnet.sweep.planning.plan import Plan
    from wsnet.sweep.resume import TrialState

__all__ = ["show_costs", "show_settings"]

_COLUMNS: dict[str, Side] = {
    "setting": "left",
    "setting_id": "left",
    "parameters": "right",
    "MACs/image": "right",
    "kept/image": "right",
    "steps/epoch": "right",
    "per trial": "right",
}
_COMPUTED_AS: dict[str, Side] = {"computed as": "left"}


def show_settings(sweep: Sweep, path: str, console: Console) -> None:
    """Print the question, the trial count and what the settings share. Does not import torch."""
    config, seeds = sweep.config, len(sweep.config.seed_list)
    console.print(f"[bold]{escape(config.name)}[/bold]: {escape(config.question)}", highlight=False)
    settings, trials = counted(len(sweep.settings), "setting"), counted(len(sweep.settings) * seeds, "trial")
    console.print(f"{settings} x {counted(seeds, 'seed')} = {trials} ({escape(path)})", highlight=False)
    if later := sum(study.missing for study in sweep.studies):
        text = f"{counted(later, 'setting')} more to come, suggested by {config.search.name!r} from the results"
        console.print(text, highlight=False)
    combinations = sum(len(setting.places) for setting in sweep.settings)
    if combinations > len(sweep.settings):
        text = f"{combinations} combinations make {settings}, since some keys have no effect"
        console.print(
            f"{text} in some of them: each setting is trained once and shown in all its places", highlight=False
        )
    console.print("\nWhat all settings share (defaults left out):", highlight=False)
    console.print(escape(dump_yaml(_shared(sweep))), highlight=False, soft_wrap=True)
    for line in _scalings(sweep):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def show_costs(sweep: Sweep, path: str, *, root: Path, folder: "Folder", console: Console) -> None:
    """Print each setting's parameters, multiply-accumulates, activation memory and time, and the total time.

    Args:
        sweep: the sweep.
        path: its file.
        root: folder of the image sets.
        folder: the sweep's folder, where earlier starts may have left results.
        console: where to print.

    Raises:
        DataError: images are missing or damaged.
        ConfigError: a setting cannot be run.
    """
    import torch

    from wsnet.sweep.cluster.ray_session import Node
    from wsnet.sweep.cluster.resources import allocate
    from wsnet.sweep.planning.estimate import estimate, settled_device
    from wsnet.sweep.planning.extend_epochs import describe_shorter, shorter_trials
    from wsnet.sweep.planning.plan import make_plan
    from wsnet.sweep.resume import read_states

    plan = make_plan(sweep, path, root=root)
    execution = sweep.settings[0].config.execution
    here = Node(cpus=len(os.sched_getaffinity(0)), gpus=torch.cuda.device_count())
    devices = {setting.config.execution.device for setting in sweep.settings}
    allocation = allocate(sweep.config.resources, [here], devices=devices, path=path)
    device = settled_device(execution, allocation.gpus)
    with console.status("timing a few steps of every model"):
        cost = estimate(plan, threads=max(1, int(allocation.cpus)), device=device, concurrent=allocation.concurrent)
    _show_table(plan, cost.per_trial, console)
    concurrent = counted(allocation.concurrent, "trial")
    console.print(
        f"\nAbout {duration(cost.total)} on this machine ({concurrent} at a time on {device}), "
        f"estimated from a few steps; checkpoints at the end: {readable_size(cost.checkpoint_bytes)}. "
        "Nothing was started.",
        highlight=False,
        soft_wrap=True,
    )
    if later := sum(study.missing for study in sweep.studies):
        share = (len(sweep.settings) + later) / len(sweep.settings)
        text = f"With the settings that are suggested later: about {duration(cost.total * share)}."
        console.print(text, highlight=False, soft_wrap=True)
    states = [state for state in read_states(plan, folder) if state.status is not None]
    shorter = shorter_trials(plan, folder)
    if states or shorter:
        left = _seconds_left(plan, states, shorter, cost.per_trial) / allocation.concurrent
        lines = [_what_is_left(plan, states, left, folder), *describe_shorter(shorter, is_planned=True)]
        console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _show_table(plan: "Plan", per_trial: Mapping[str, float], console: Console) -> None:
    """Print a line for each setting."""
    from wsnet.training.micro_batches import plan_micro_batches

    resources, first_seed = plan.sweep.config.resources, plan.sweep.config.seed_list[0]
    has_micro_batches = any(setting.config.train.micro_batch_size for setting in plan.sweep.settings)
    rows: list[list[str]] = []
    reasons: dict[str, str] = {}
    for trial in (trial for trial in plan.trials if trial.entry.seed == first_seed):
        size, entry = plan.sizes[trial.entry.setting_id], trial.entry
        how = plan_micro_batches(trial.config, workers=resources.workers)
        reasons[f"{trial.config.model.norm.name}: {how.rule}"] = how.why
        row = [
            entry.name.rpartition("-s")[0],
            entry.setting_id,
            _short(size.parameters),
            _short(size.multiply_accumulates),
            readable_size(size.activation_bytes),
            f"{trial.config.steps_per_epoch:,}",
            duration(per_trial[entry.setting_id]),
        ]
        rows.append([*row, how.what] if has_micro_batches else row)
    print_table(_COLUMNS | (_COMPUTED_AS if has_micro_batches else {}), rows, console)
    for what, why in reasons.items() if has_micro_batches else ():
        console.print(f"{what}, since {why}", highlight=False, soft_wrap=True)


def _what_is_left(plan: "Plan", states: "list[TrialState]", seconds: float, folder: "Folder") -> str:
    done = sum(state.is_done for state in states)
    if done == len(plan.trials):
        return f"In {folder.location}, every trial is done already."
    again, new, verb = len(states) - done, len(plan.trials) - len(states), "is" if done == 1 else "are"
    return (
        f"In {folder.location}, {counted(done, 'trial')} {verb} done, {again} would continue or be "
        f"tried again, and {new} would be new: about {duration(seconds)} left."
    )


def _seconds_left(
    plan: "Plan", states: "list[TrialState]", shorter: "list[Shorter]", per_trial: Mapping[str, float]
) -> float:
    """Of all trials one after the other."""
    done = {s.trial_id: 1.0 if s.is_done else len(s.records) / s.trial.config.train.epochs for s in states}
    for one in shorter:
        if one.is_its_beginning:
            done[one.trial.entry.trial_id] = one.epochs / one.trial.config.train.epochs
    return sum((1 - done.get(t.entry.trial_id, 0.0)) * per_trial[t.entry.setting_id] for t in plan.trials)


def _scalings(sweep: Sweep) -> list[str]:
    """One line per batch size: the values that `optim.scale_with_batch` gives."""
    found: dict[str, None] = {}
    for config in (setting.config for setting in sweep.settings):
        scaled = describe_scaling(config)
        if scaled is not None:
            found[f"train.batch_size {config.train.batch_size}: optim.scale_with_batch gives {scaled}"] = None
    return list(found)


def _shared(sweep: Sweep) -> dict[str, Any]:
    """What all settings have in common."""
    first, *others = (canonical(setting.config) for setting in sweep.settings)
    for other in others:
        first = _common(first, other)
    return first


def _common(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {key: (one[key], other[key]) for key in one if key in other}
    return {
        key: _common(a, b) if isinstance(a, dict) and isinstance(b, dict) else a
        for key, (a, b) in both.items()
        if a == b or (isinstance(a, dict) and isinstance(b, dict))
    }


def _short(count: int) -> str:
    """At most four significant digits, so that a table fits on a screen."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return str(count)
