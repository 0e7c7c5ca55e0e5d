"""`--dry-run`: what a sweep file asks for, and what it would cost."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from wsnet.config import Sweep, canonical
from wsnet.config.errors import counted
from wsnet.config.reading.yaml_lines import dump_yaml
from wsnet.config.scaling import describe_scaling
from wsnet.sweep.formatting import duration, readable_size
from wsnet.sweep.time_left import makespan

if TYPE_CHECKING:
    from wsnet.storage import Folder, TrialEntry
    from wsnet.sweep.planning.estimate import Estimate
    from wsnet.sweep.planning.extend_epochs import Shorter
    from wsnet.sweep.planning.plan import Plan
    from wsnet.sweep.resume import TrialState

__all__ = ["show_costs", "show_settings"]

_ESTIMATED = (
    "estimated from timed steps of one small network and each model's multiply-accumulates; --time times each model"
)
_TIMED = "measured with a few steps of each model (of some of each kind, where there are many)"


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


def show_costs(
    sweep: Sweep, path: str, *, root: Path, folder: "Folder", console: Console, is_timed: bool = False
) -> None:
    """Print each setting's parameters, multiply-accumulates, activation memory and time, and the total time.

    Args:
        sweep: the sweep.
        path: its file.
        root: folder of the image sets.
        folder: the sweep's folder, where earlier starts may have left results.
        console: where to print.
        is_timed: time a few steps of each model, instead of steps of one small network.

    Raises:
        DataError: images are missing or damaged.
        ConfigError: a setting cannot be run, or a package that it needs is missing.
    """
    import torch

    from wsnet.storage import describe_changes, since_first_report
    from wsnet.sweep.cluster.ray_session import Node
    from wsnet.sweep.cluster.resources import allocate
    from wsnet.sweep.planning.estimate import estimate
    from wsnet.sweep.planning.extend_epochs import describe_shorter, shorter_trials
    from wsnet.sweep.planning.needs import check_packages, warnings_of_needs
    from wsnet.sweep.planning.plan import make_plan
    from wsnet.sweep.resume import read_states

    plan = make_plan(sweep, path, root=root)
    check_packages(plan)
    here = Node(cpus=len(os.sched_getaffinity(0)), gpus=torch.cuda.device_count())
    devices = {setting.config.execution.device for setting in sweep.settings}
    allocation = allocate(sweep.config.resources, [here], devices=devices, path=path)
    with console.status("timing"):
        threads, slots = max(1, int(allocation.cpus)), min(allocation.concurrent, len(plan.trials))
        cost = estimate(plan, threads=threads, gpus=allocation.gpus, slots=slots, is_timed=is_timed)
    states = [state for state in read_states(plan, folder) if state.status is not None]
    shorter = shorter_trials(plan, folder)
    _show_table(plan, cost, states, console)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    whole = makespan([cost.per_trial[trial.entry.setting_id] for trial in plan.trials], slots)
    how = _TIMED if is_timed else _ESTIMATED
    where = f"{counted(slots, 'slot')} of this machine ({_joined(cost.devices.values())})"
    say(f"\nAbout {duration(whole)} on {where}, with nothing else running: {how}.")
    say(f"Checkpoints at the end: {readable_size(cost.checkpoint_bytes)}. Nothing was started.")
    if later := sum(study.missing for study in sweep.studies):
        share = (len(sweep.settings) + later) / len(sweep.settings)
        say(f"With the settings that are suggested later: about {duration(whole * share)}.")
    if states or shorter:
        left = makespan(_seconds_left(plan, states, shorter, cost.per_trial), slots)
        for line in (_what_is_left(plan, states, left, folder), *describe_shorter(shorter, is_planned=True)):
            say(line)
    changes = describe_changes(since_first_report(folder, plan.manifest))
    for warning in [*warnings_of_needs(plan, folder), *filter(None, [changes])]:
        print(f"warning: {warning}", file=sys.stderr)


def _show_table(plan: "Plan", cost: "Estimate", states: "list[TrialState]", console: Console) -> None:
    """Print a line for each setting, or for each group of settings where there are many."""
    from wsnet.sweep.commands.setting_table import Fact, print_settings
    from wsnet.training.micro_batches import plan_micro_batches

    resources, first_seed = plan.sweep.config.resources, plan.sweep.config.seed_list[0]
    configs = {t.entry.setting_id: t.config for t in plan.trials if t.entry.seed == first_seed}
    entries = [t.entry for t in plan.trials if t.entry.seed == first_seed]
    has_micro_batches = any(config.train.micro_batch_size for config in configs.values())
    hows = {
        setting_id: plan_micro_batches(config, workers=resources.workers)
        for setting_id, config in (configs.items() if has_micro_batches else ())
    }

    def spread(of: Callable[[str], float], text: Callable[[Any], str]) -> "Callable[[list[TrialEntry]], str]":
        return lambda row: _spread([of(entry.setting_id) for entry in row], text)

    trials = Counter(t.entry.setting_id for t in plan.trials)
    done = Counter(state.setting_id for state in states if state.is_done)
    begun = Counter(state.setting_id for state in states if not state.is_done)
    facts = [Fact(name="per trial", text=spread(cost.per_trial.__getitem__, duration), can_go=False)]
    if len(set(cost.devices.values())) > 1:
        facts.append(Fact(name="device", text=lambda row: _joined(cost.devices[e.setting_id] for e in row)))
    if states:
        counts = {"done": done, "to continue": begun, "new": trials - done - begun}
        for name, count in counts.items():
            facts.append(Fact(name=name, text=_sum(count), can_go=False))
    if has_micro_batches:
        facts.append(Fact(name="computed as", text=lambda row: _joined(hows[e.setting_id].what for e in row)))
    facts += [
        Fact(name="steps/epoch", text=spread(lambda i: configs[i].steps_per_epoch, "{:,}".format)),
        Fact(name="parameters", text=spread(lambda i: plan.sizes[i].parameters, _short)),
        Fact(name="MACs/image", text=spread(lambda i: plan.sizes[i].multiply_accumulates, _short)),
        Fact(name="kept/image", text=spread(lambda i: plan.sizes[i].activation_bytes, readable_size)),
        Fact(name="setting_id", text=lambda row: row[0].setting_id if len(row) == 1 else f"{len(row)} of them"),
    ]
    print_settings(entries, plan.sweep.axes, facts, console)
    reasons = {f"{configs[i].model.norm.name}: {how.rule}": how.why for i, how in hows.items()}
    for what, why in reasons.items():
        console.print(f"{what}, since {why}", highlight=False, soft_wrap=True)


def _sum(count: Mapping[str, int]) -> "Callable[[list[TrialEntry]], str]":
    """The cell with the number of trials of a row's settings."""
    return lambda row: str(sum(count.get(entry.setting_id, 0) for entry in row))


def _spread(values: list[float], text: Callable[[Any], str]) -> str:
    low, high = text(min(values)), text(max(values))
    return low if low == high else f"{low} to {high}"


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


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
) -> list[float]:
    """Of each trial that is not done."""
    done = {s.trial_id: 1.0 if s.is_done else len(s.records) / s.trial.config.train.epochs for s in states}
    for one in shorter:
        if one.is_its_beginning:
            done[one.trial.entry.trial_id] = one.epochs / one.trial.config.train.epochs
    left = ((1 - done.get(t.entry.trial_id, 0.0)) * per_trial[t.entry.setting_id] for t in plan.trials)
    return [seconds for seconds in left if seconds > 0]


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
