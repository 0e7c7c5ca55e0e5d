"""The wall time of a sweep: a model of trials x epochs x nodes, and sweeps beside what it predicts for them.

    python benchmarks/wall_time.py [--nodes 1 2 4] [--shapes 16x10x0.5 400x1x0.2 400x1x0]
    python benchmarks/wall_time.py --predict 945x90x30 --slots 2 4 8 512

A shape is TRIALSxEPOCHSxSECONDS of an epoch. Without --predict, a Ray cluster grows on this machine, node by node
(`ray.cluster_utils.Cluster`: each node has a raylet of its own, and slots for two trials). A small sweep on the first
node gives the model its `Costs`. Then sweeps of each shape run on 1, 2 and 4 nodes, each with a driver of its own
(`wsnet.sweep.run.run`). Printed: measured and predicted seconds and their ratio, for the trials alone and with the
start. All nodes share this machine's cores, so an epoch sleeps instead of training. The rest is as in a real sweep:
processes, images, leases, reports, the trials' files, and an almost empty checkpoint after each epoch.

--predict prints the model's answers for numbers of slots, with the costs of docs/scaling.md.
"""

import argparse
import json
import logging
import os
import secrets
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import no_work
from ratios import ratio
from sweep_model import COSTS, Costs, Prediction, Shape, wall_time

SLOTS = 2
"""Trials that run at the same time on a simulated node."""

CALIBRATION = (40, (1, 11), 0.05)
"""The small sweep: trials of each kind, epochs of the two kinds, seconds of an epoch."""


def main() -> None:
    if options := no_work.asked_for():
        print(json.dumps(_sweep(**options)))
        return
    arguments = _arguments()
    for shape in arguments.predict or []:
        for slots in arguments.slots:
            found = wall_time(shape, slots, COSTS, starts=2)
            seconds = found.start + found.trials
            print(
                f"{shape}, {slots} at a time: {seconds:,.0f} s = {seconds / 3600:.2f} h, limited by the {found.limit}"
            )
    if not arguments.predict:
        measure(arguments.nodes, arguments.shapes)


def measure(numbers_of_nodes: list[int], shapes: list[Shape]) -> None:
    """Print what sweeps take, beside what the model predicts from a small one on one node."""
    with tempfile.TemporaryDirectory() as folder, cluster() as nodes:
        trials, epochs, seconds = CALIBRATION
        told = _told(nodes, folder, settings=trials, epochs=epochs, seconds=seconds)
        costs = costs_of(told, seconds)
        print("  ".join(f"{field.name} {getattr(costs, field.name):.4f} s" for field in fields(costs)), flush=True)
        for number in numbers_of_nodes:
            while len(nodes.list_all_nodes()) < number:
                add_node(nodes)
            for shape in shapes:
                told = _told(nodes, folder, settings=shape.trials, epochs=[shape.epochs], seconds=shape.seconds)
                slots = min(number * SLOTS, shape.trials)
                predicted = wall_time(shape, slots, costs, starts=_starts(number, slots))
                print(f"{number} nodes, {shape}:  {_compared(told, predicted)}", flush=True)
                times = (told["last"] - _begin(told)) / predicted.trials
                ratio(f"{number} nodes, {shape}: measured / predicted", times, higher_is_better=False)


def _compared(told: dict[str, Any], predicted: Prediction) -> str:
    """Measured and predicted seconds; the trials alone, and the whole with the start."""
    trials, whole = told["last"] - _begin(told), predicted.start + predicted.trials
    return (
        f"trials {trials:.1f} s, predicted {predicted.trials:.1f} s: {trials / predicted.trials:.2f};  "
        f"whole {told['wall']:.1f} s, predicted {whole:.1f} s: {told['wall'] / whole:.2f}  (limit: {predicted.limit})"
    )


def costs_of(told: dict[str, Any], seconds: float) -> Costs:
    """The model's costs, from a sweep on one node whose trials have two numbers of epochs, of so many seconds."""
    few, many = sorted({len(records) for records in told["trials"].values()})
    spans, ends = defaultdict(list), defaultdict(list)
    for of_slot in _by_slot(told).values():
        for one, following in pairwise(of_slot):
            spans[len(one)].append(following[0]["began"] - one[0]["began"])
    for trial_id, driver in dict(told["changes"]).items():  # The last change of each trial.
        ends[len(told["trials"][trial_id])].append(driver)
    span = {count: statistics.mean(found) for count, found in spans.items()}
    driver = {count: (max(found) - min(found)) / (len(found) - 1) for count, found in ends.items()}
    epoch, driver_epoch = ((each[many] - each[few]) / (many - few) for each in (span, driver))
    processes = [of_slot[0][0]["cpu"] for of_slot in _by_slot(told).values()]
    process = statistics.mean(processes)
    return Costs(
        start=_begin(told) - process * _starts(1, len(processes)) + told["wall"] - told["last"],
        process=process,
        trial=span[few] - few * epoch,
        epoch=epoch - seconds,
        driver_trial=driver[few] - few * driver_epoch,
        driver_epoch=driver_epoch,
    )


def _by_slot(told: dict[str, Any]) -> dict[float, list[list[dict[str, float]]]]:
    """The records of the trials that each process has trained, in this order."""
    found = defaultdict(list)
    for records in sorted(told["trials"].values(), key=lambda records: records[0]["began"]):
        found[records[0]["slot"]].append(records)
    return found


def _begin(told: dict[str, Any]) -> float:
    """When the first trial of each process began, on average."""
    return statistics.mean(of_slot[0][0]["began"] for of_slot in _by_slot(told).values()) - told["began"]


def _starts(nodes: int, slots: int) -> float:
    """Process starts that follow one another, on nodes that share this machine's cores: see `wall_time`."""
    cores = len(os.sched_getaffinity(0))
    return max(1.0, slots / cores) + (max(1.0, (nodes - 1) / cores) if nodes > 1 else 0.0)


@contextmanager
def cluster() -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of one node."""
    folder = tempfile.mkdtemp(prefix="rays-", dir="/tmp")  # Ray's sockets need a short path.
    # With a token in the user's home, a driver demands one; without one on the other side, its actors are cancelled.
    os.environ.update(RAY_TMPDIR=folder, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.CRITICAL)  # Such as that the port of another Ray's dashboard is taken.
    nodes = Cluster()
    try:
        add_node(nodes)
        yield nodes
    finally:
        nodes.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def add_node(nodes: Any) -> None:
    """Add a node whose processes find the benchmarks."""
    path = f"{no_work.ROOT}{os.pathsep}{no_work.ROOT / 'benchmarks'}"
    nodes.add_node(num_cpus=SLOTS, include_dashboard=False, env_vars={"PYTHONPATH": path})


def _told(nodes: Any, folder: str, **options: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        return no_work.child(__file__, address=nodes.address, folder=work, **options)


def _sweep(address: str, settings: int, epochs: list[int], seconds: float, folder: str) -> dict[str, Any]:
    """Run a sweep; return when what happened, with the driver's CPU time at each change of a trial."""
    from rich.console import Console

    import wsnet.sweep.tuner
    from wsnet.config import read_sweep
    from wsnet.data import data_root
    from wsnet.storage import Folder, trial_directory
    from wsnet.sweep.cluster.ray_session import ray_session
    from wsnet.sweep.planning.plan import make_plan
    from wsnet.sweep.run import run

    wsnet.sweep.tuner.train_job = no_work.sleeping(seconds)
    file = no_work.write_sweep(Path(folder), settings=settings, epochs=epochs)
    plan = make_plan(read_sweep(str(file)), file.name, root=data_root())
    sweep, quiet = Folder(folder) / "scale", Console(file=open(os.devnull, "w"))  # noqa: SIM115
    plan.manifest.write(sweep)
    changes: list[tuple[str, float]] = []

    def changed(trial_id: str) -> None:
        changes.append((trial_id, time.thread_time()))

    began, cpu = time.time(), time.thread_time()
    with ray_session(address=address):
        outcome = run(plan, folder=sweep, data_root=data_root(), address=address, console=quiet, changed=changed)
        wall, driver = time.time() - began, time.thread_time() - cpu
    assert outcome.progress.count("finished") == len(plan.trials), "a trial has failed"
    ids = [trial.entry.trial_id for trial in plan.trials]
    trials = {trial_id: trial_directory(sweep, trial_id).records() for trial_id in ids}
    last = max(records[-1]["at"] for records in trials.values()) - began
    return {"began": began, "wall": wall, "driver": driver, "last": last, "trials": trials, "changes": changes}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4], help="numbers of simulated nodes")
    shapes = [Shape(16, 10, 0.5), Shape(400, 1, 0.2), Shape(400, 1, 0.0)]
    parser.add_argument("--shapes", type=Shape.read, nargs="+", default=shapes, help="sweeps to measure")
    parser.add_argument("--predict", type=Shape.read, nargs="+", help="only predict, with the costs in the docs")
    parser.add_argument("--slots", type=int, nargs="+", default=[2, 4, 8], help="trials at a time, for --predict")
    return parser.parse_args()


if __name__ == "__main__":
    main()
