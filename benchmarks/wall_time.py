"""The wall time of sweeps on 1, 2 and 4 simulated nodes, beside the prediction of docs/scaling.md.

    python benchmarks/wall_time.py [--nodes 1 2 4] [--trials 18] [--epochs 3] [--seconds 0.5]

The nodes are Ray's `ray.cluster_utils.Cluster` on this machine, of one CPU each, so one trial runs at a time on each.
Their trials sleep instead of training (see benchmarks/no_work.py), since they share the machine's cores. Each sweep
runs in a process of its own through `wsnet.sweep.run.run`. The prediction takes each trial's overhead from the first
sweep, and nothing from the others.
"""

import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import no_work


def main() -> None:
    if options := no_work.asked_for():
        print(json.dumps(_sweep(**options)))
        return
    arguments = _arguments()
    work = {"trials": arguments.trials, "epochs": arguments.epochs, "seconds": arguments.seconds}
    measured: dict[int, dict[str, Any]] = {}
    for nodes in arguments.nodes:
        with tempfile.TemporaryDirectory() as folder:
            measured[nodes] = no_work.child(__file__, nodes=nodes, folder=folder, **work)
    first = measured[arguments.nodes[0]]
    rounds = math.ceil(arguments.trials / arguments.nodes[0])
    overhead = (first["end"] - first["begin"]) / rounds - arguments.epochs * arguments.seconds
    print(f"first trial after {first['begin']:.1f} s; overhead {overhead:.3f} s per trial")
    for nodes, found in measured.items():
        rounds = math.ceil(arguments.trials / nodes)
        predicted = rounds * (arguments.epochs * arguments.seconds + overhead)
        seconds = found["end"] - found["begin"]
        print(
            f"{nodes} nodes: first trial after {found['begin']:5.1f} s, then {seconds:5.1f} s "
            f"(predicted {predicted:5.1f} s; measured over predicted {seconds / predicted:.2f})"
        )


def _sweep(nodes: int, trials: int, epochs: int, seconds: float, folder: str) -> dict[str, float]:
    """Seconds from the start of the sweep to its first trial's beginning and to its last trial's end."""
    from ray.cluster_utils import Cluster
    from rich.console import Console

    import wsnet.sweep.tuner
    from wsnet.config import read_sweep
    from wsnet.data import data_root
    from wsnet.storage import Folder
    from wsnet.sweep.plan import make_plan
    from wsnet.sweep.run import run

    wsnet.sweep.tuner.train_job = no_work.no_work(seconds)
    file = no_work.write_sweep(Path(folder), settings=trials, epochs=epochs)
    plan = make_plan(read_sweep(str(file)), file.name, root=data_root())
    sweep = Folder(folder) / "scale"
    plan.manifest.write(sweep)
    quiet = Console(file=open(os.devnull, "w"))  # noqa: SIM115
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        began = time.time()
        outcome = run(
            plan,
            folder=sweep,
            data_root=data_root(),
            address=cluster.address,
            console=quiet,
            changed=lambda trial_id: None,
        )
        assert outcome.progress.count("finished") == trials, "a trial has failed"
    finally:
        cluster.shutdown()
    assert sweep.local is not None
    folders = [sweep.local / "trials" / trial.entry.trial_id for trial in plan.trials]
    begin, end = ([(f / name).stat().st_mtime - began for f in folders] for name in ("execution.json", "status.json"))
    return {"begin": min(begin), "end": max(end)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4], help="numbers of nodes")
    parser.add_argument("--trials", type=int, default=18, help="trials of each sweep (fewer than 20)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of a trial")
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds of an epoch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
