"""The overhead of a trial: time per trial spent outside `fit`, over the trials of a sweep file.

    python benchmarks/trial_overhead.py [SWEEP.yaml] [--compared N]

Runs the sweep through `wsnet.sweep.run.run` (Ray Tune with reused actors), then N of its trials as plain Tune
functions without reuse, and N as one-worker TorchTrainers. A slot is a place where one trial runs at a time. A trial's
time inside `fit` is from its execution.json (written first) to its final status.json (written last); a slot's time is
from the start of its first trial to the end of its last one. The start of Ray and the time before a slot's first trial
(a new process, the import of torch) are printed separately. The bar is 0.15 s per trial.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ratios import ratio
from rich.console import Console

from wsnet.config import read_sweep
from wsnet.data import data_root
from wsnet.storage import Folder
from wsnet.sweep.cluster.ray_session import ray_session
from wsnet.sweep.planning.plan import Plan, make_plan
from wsnet.sweep.run import run
from wsnet.sweep.trials.context import SweepContext
from wsnet.sweep.trials.trainable import train_job, train_on_workers

Span = tuple[float, float]


def spans(sweep: Folder, trial_ids: list[str]) -> list[Span]:
    """When each trial entered and left `fit`, in seconds since the epoch."""
    assert sweep.local is not None
    folders = [sweep.local / "trials" / trial_id for trial_id in trial_ids]
    return sorted(((f / "execution.json").stat().st_mtime, (f / "status.json").stat().st_mtime) for f in folders)


def slots_of(trials: list[Span]) -> list[list[Span]]:
    """Assign each trial to the slot that became free most recently before it started."""
    slots: list[list[Span]] = []
    for start, end in trials:
        free = [slot for slot in slots if slot[-1][1] <= start]
        if free:
            max(free, key=lambda slot: slot[-1][1]).append((start, end))
        else:
            slots.append([(start, end)])
    return slots


def show(name: str, trials: list[Span], began: float) -> float:
    """Print one line and return the overhead per trial in seconds."""
    slots = slots_of(trials)
    slot_time = sum(slot[-1][1] - slot[0][0] for slot in slots)
    inside = sum(end - start for start, end in trials)
    overhead = (slot_time - inside) / max(1, len(trials) - len(slots))
    first = ", ".join(f"{slot[0][0] - began:.1f}" for slot in slots)
    print(
        f"{name:42} {len(trials):4} trials on {len(slots)} slots   in fit {inside / len(trials):6.2f} s a trial   "
        f"outside {overhead:6.3f} s a trial   first trials after {first} s"
    )
    return overhead


def tuned(function: Any, plan: Plan, count: int, need: dict[str, float], context: SweepContext, slots: int) -> None:
    """Run the first `count` trials of the plan through Tune without reused actors."""
    from ray import tune

    ids = [trial.entry.trial_id for trial in plan.trials[:count]]
    tune.Tuner(
        tune.with_resources(tune.with_parameters(function, context=context), need),
        param_space={"trial_id": tune.grid_search(ids)},
        tune_config=tune.TuneConfig(reuse_actors=False, max_concurrent_trials=slots),
        run_config=tune.RunConfig(storage_path=context.scratch, verbose=0),
    ).fit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", nargs="?", default="sweeps/quickstart.yaml")
    parser.add_argument("--compared", type=int, default=6, help="trials per comparison (default: 6)")
    arguments = parser.parse_args()
    plan = make_plan(read_sweep(arguments.sweep), arguments.sweep, root=data_root())
    ids = [trial.entry.trial_id for trial in plan.trials]
    with tempfile.TemporaryDirectory() as work:
        began = time.time()
        with ray_session(address=None) as session:
            started = time.time()
            print(f"Ray's own start: {started - began:.1f} s; {int(sum(node.cpus for node in session.nodes))} CPUs")
            reused = Folder(Path(work) / "reused")
            plan.manifest.write(reused)
            quiet = Console(file=open(os.devnull, "w"))  # noqa: SIM115
            run(plan, folder=reused, data_root=data_root(), address=None, console=quiet, changed=lambda trial_id: None)
            overhead = show("wsnet (Tune, reused actors)", spans(reused, ids), started)
            context = SweepContext(
                folder="",
                data_root=str(data_root().absolute()),
                configs={trial.entry.trial_id: trial.config.model_dump_json() for trial in plan.trials},
                workers=1,
                cpus=1,
                gpus=0,
                max_failures=0,
                scratch=work,
            )
            others = {
                "plain Tune functions, no reuse": (train_job, {"cpu": 1.0}),
                "one-worker TorchTrainers": (train_on_workers, {"memory": 1.0}),
            }
            ratios = {}
            for name, (function, need) in others.items():
                folder = Folder(Path(work) / name)
                began = time.time()
                slots = int(sum(node.cpus for node in session.nodes))
                tuned(function, plan, arguments.compared, need, replace(context, folder=str(folder.local)), slots)
                ratios[name] = show(name, spans(folder, ids[: arguments.compared]), began) / overhead
    print(f"outside fit: {overhead:.3f} s a trial (bar: 0.15)")
    for name, times in ratios.items():
        print(f"{name} over wsnet: {times:.0f}x")
        ratio(f"outside fit, {name} / wsnet", times, higher_is_better=True)


if __name__ == "__main__":
    main()
