"""`--dry-run`: what a sweep file asks for, and what it would cost. Starts nothing."""

import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wsnet.config import Sweep, canonical
from wsnet.config.source import dump_yaml

__all__ = ["show_costs", "show_settings"]


def show_settings(sweep: Sweep, path: str, console: Console) -> None:
    """Print the question, the trial count and what the settings share. Needs no torch."""
    config, seeds = sweep.config, len(sweep.config.seed_list)
    console.print(f"[bold]{escape(config.name)}[/bold]: {escape(config.question)}", highlight=False)
    trials = len(sweep.settings) * seeds
    console.print(f"{len(sweep.settings)} settings x {seeds} seeds = {trials} trials ({escape(path)})", highlight=False)
    console.print("\nEvery setting, before what varies (defaults left out):", highlight=False)
    console.print(escape(dump_yaml(_shared(sweep))), highlight=False, soft_wrap=True)


def show_costs(sweep: Sweep, path: str, *, root: Path, console: Console) -> None:
    """Print each setting with its parameters, multiply-accumulates, memory of activations and time, and the sum of it.

    Raises:
        DataError: images are missing or damaged.
        ConfigError: a setting can not be run.
    """
    import torch

    from wsnet.sweep.estimate import estimate, settled_device
    from wsnet.sweep.plan import make_plan
    from wsnet.sweep.session import Node
    from wsnet.sweep.share import share_of

    plan = make_plan(sweep, path, root=root)
    execution = sweep.settings[0].config.execution
    here = Node(cpus=len(os.sched_getaffinity(0)), gpus=torch.cuda.device_count())
    devices = {setting.config.execution.device for setting in sweep.settings}
    share = share_of(sweep.config.resources, [here], devices=devices, path=path)
    device = settled_device(execution, share.gpus)
    with console.status("timing a few steps of every model"):
        cost = estimate(plan, threads=max(1, int(share.cpus)), device=device, concurrent=share.concurrent)
    table = Table(box=None, padding=(0, 1))
    for heading in ("setting", "setting_id", "parameters", "MACs/image", "kept/image", "steps/epoch", "per trial"):
        table.add_column(heading, justify="left" if heading.startswith("setting") else "right")
    for trial in (trial for trial in plan.trials if trial.entry.seed == sweep.config.seed_list[0]):
        size, entry = plan.sizes[trial.entry.setting_id], trial.entry
        table.add_row(
            entry.name.rpartition("-s")[0],
            entry.setting_id,
            f"{size.parameters:,}",
            f"{size.multiply_accumulates:,}",
            _bytes(size.activation_bytes),
            f"{trial.config.steps_per_epoch:,}",
            _duration(cost.per_trial[entry.setting_id]),
        )
    console.print(table)
    console.print(
        f"\nAbout {_duration(cost.total)} on this machine ({share.concurrent} trials at a time on {device}), "
        f"from a few steps timed now; checkpoints in the end: {_bytes(cost.checkpoint_bytes)}. Nothing was started.",
        highlight=False,
        soft_wrap=True,
    )


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


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
