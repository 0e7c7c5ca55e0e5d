"""What thousands of trials cost, apart from their training: dry runs, each trial's overhead, and the start of a sweep.

    python benchmarks/scale.py dry-run [--settings 100 10000 1000000]
    python benchmarks/scale.py trials [--trials 100 1000 10000] [--compared 1000] [--rounds 2]
    python benchmarks/scale.py start [--finished 0 9990]

dry-run  `run_sweep.py FILE --dry-run`: time, CPU time and memory of the process (bars: 10,000 settings in 10 s;
         1,000,000 refused in 10 s and 1 GiB).
trials   `wsnet.sweep.run.run` on the digits with trials of one epoch that compute nothing: `fit` runs as it is, with
         its lease, its files and its reports, but `Training` is replaced by a class without model, data or checkpoint.
         Printed: time per trial and CPU time of the driver per trial, from the first trial's end to the last one's (two
         or more trials run at a time); the same for the last tenth of them over the first tenth; and the driver's
         memory (bars: 40 ms per trial, at most 1.5 times as much for the largest sweep as for the smallest, 1 GiB).
         Then the same in turns with plain Ray Tune: a function that reports one epoch and writes nothing, with reused
         actors, in the same environment.
start    `run_sweep.py FILE` with ten trials to train and thousands that have finished: seconds until the first of the
         ten has begun (bar: 10 s), with MLflow to be filled from the beginning.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import no_work
from no_work import GIB, NOTHING, ROOT, Usage, usage, write_sweep
from ratios import ratio


def main() -> None:
    if options := no_work.asked_for():
        print(json.dumps(CHILDREN[options.pop("kind")](**options)))
        return
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as work:
        for part in PARTS if arguments.part == "all" else [arguments.part]:
            PARTS[part](arguments, Path(work))


def dry_runs(arguments: argparse.Namespace, work: Path) -> None:
    """Print what dry runs of growing sweeps use."""
    used = {}
    for count in arguments.settings:
        file = write_sweep(work, settings=count)
        used[count] = usage([sys.executable, str(ROOT / "run_sweep.py"), str(file), "--dry-run"])
        print(f"dry run of {count:9,} settings  {_shown(used[count])}  {used[count].text[-70:].splitlines()[-1]}")
    first, *others = used
    for count in others:
        times = used[count].cpu / used[first].cpu
        print(f"{count:,} settings over {first:,}: {times:.2f} times the CPU time")
        ratio(f"dry run, {count} settings / {first}", times, higher_is_better=False)


def trials(arguments: argparse.Namespace, work: Path) -> None:
    """Print the overhead of a trial in sweeps of growing length, and over plain Ray Tune."""
    found = {count: ours(count, work) for count in arguments.trials}
    for count, told in found.items():
        print(_line(f"{count:6,} trials through wsnet", told))
    first, last = found[min(found)], found[max(found)]
    for what, key in (("time", "seconds"), ("CPU time of the driver", "cpu")):
        times = last[key] / first[key]
        print(f"{what} per trial, {max(found):,} over {min(found):,} trials: {times:.2f} (bar: 1.5)")
        ratio(f"{what} per trial, {max(found)} trials / {min(found)}", times, higher_is_better=False)
    if not arguments.compared:
        return
    pairs = []
    for _ in range(arguments.rounds):
        pairs.append((ours(arguments.compared, work), no_work.child(__file__, kind="plain", count=arguments.compared)))
        print(_line(f"{arguments.compared:6,} trials through wsnet", pairs[-1][0]))
        print(_line(f"{arguments.compared:6,} trials, plain Ray Tune", pairs[-1][1]))
    for what, key in (("time", "seconds"), ("CPU time of the driver", "cpu")):
        median = statistics.median(one[key] / other[key] for one, other in pairs)
        print(f"{what} per trial, wsnet over plain Ray Tune: {median:.2f}")
        ratio(f"{what} per trial, wsnet / plain Ray Tune", median, higher_is_better=False)


def starts(arguments: argparse.Namespace, work: Path) -> None:
    """Print the time to the first trial of sweeps of which more and more has been done before."""
    seconds = {}
    for finished in arguments.finished:
        told = no_work.child(__file__, kind="start", finished=finished, folder=str(work / f"start{finished}"))
        seconds[finished] = told["seconds"]
        print(f"{finished:6,} trials finished before, 10 to train: the first one begins after {told['seconds']:.1f} s")
    first, *others = seconds
    for finished in others:
        times = seconds[finished] / seconds[first]
        print(f"{finished:,} over {first:,}: {times:.2f} times")
        ratio(f"start, {finished} trials finished / {first}", times, higher_is_better=False)


def ours(count: int, work: Path) -> dict[str, Any]:
    """Overhead of trials that compute nothing, through wsnet."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        return no_work.child(__file__, kind="wsnet", count=count, folder=folder)


def _through_wsnet(count: int, folder: str) -> dict[str, Any]:
    from rich.console import Console

    import wsnet.sweep.tuner
    from wsnet.config import read_sweep
    from wsnet.data import data_root
    from wsnet.storage import Folder
    from wsnet.sweep.cluster.ray_session import ray_session
    from wsnet.sweep.planning.plan import make_plan
    from wsnet.sweep.run import run

    wsnet.sweep.tuner.train_job = no_work.sleeping(0.0)
    file = write_sweep(Path(folder), settings=count)
    plan = make_plan(read_sweep(str(file)), file.name, root=data_root())
    sweep, clock = Folder(folder) / "scale", _Clock()
    plan.manifest.write(sweep)
    quiet = Console(file=open(os.devnull, "w"))  # noqa: SIM115
    with ray_session(address=None):
        outcome = run(plan, folder=sweep, data_root=data_root(), address=None, console=quiet, changed=clock.changed)
    assert outcome.progress.count("finished") == count, "a trial has failed"
    return clock.read()


def _plain(count: int) -> dict[str, Any]:
    from wsnet.sweep.cluster.ray_session import ray_session

    with ray_session(address=None) as session:
        from ray import tune

        nothing, clock = {"epoch": 1, "lr": 0.1, **NOTHING}, _Clock()

        class Callback(tune.Callback):  # type: ignore[misc]
            def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
                clock.changed(trial.trial_id)

            def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
                clock.changed(trial.trial_id)

            def __getstate__(self) -> dict[str, Any]:
                return {}

        def function(config: dict[str, Any]) -> None:
            tune.report(nothing)

        slots = int(sum(node.cpus for node in session.nodes))
        with tempfile.TemporaryDirectory() as scratch:
            tune.Tuner(
                tune.with_resources(function, {"cpu": 1}),
                param_space={"trial_id": tune.grid_search([f"{index:012x}" for index in range(count)])},
                tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=slots),
                run_config=tune.RunConfig(storage_path=scratch, verbose=0, callbacks=[Callback()]),
            ).fit()
    return clock.read()


class _Clock:
    """When each trial ended: of the two changes of a trial, its record and its end, the second one."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._ends: list[tuple[float, float]] = []

    def changed(self, trial_id: str) -> None:
        """A trial has changed."""
        if trial_id in self._seen:
            self._ends.append((time.perf_counter(), time.process_time()))
        self._seen.add(trial_id)

    def read(self) -> dict[str, float]:
        """Seconds and seconds of CPU per trial; and those of the last tenth of the trials over the first tenth."""
        part = max(2, len(self._ends) // 10)
        seconds, cpu = self._between(self._ends)
        first, last = self._between(self._ends[:part]), self._between(self._ends[-part:])
        return {"seconds": seconds, "cpu": cpu, "growth": last[0] / first[0], "cpu_growth": last[1] / first[1]}

    @staticmethod
    def _between(ends: list[tuple[float, float]]) -> tuple[float, float]:
        (began, cpu_before), (ended, cpu) = ends[0], ends[-1]
        return (ended - began) / (len(ends) - 1), (cpu - cpu_before) / (len(ends) - 1)


def _start(finished: int, folder: str) -> dict[str, float]:
    """Seconds from the command to the first trial's beginning."""
    from wsnet.config import read_sweep
    from wsnet.data import data_root
    from wsnet.storage import Folder, Status, trial_directory
    from wsnet.sweep.planning.plan import make_plan

    Path(folder).mkdir()
    file = write_sweep(Path(folder), settings=finished + 10)
    plan = make_plan(read_sweep(str(file)), file.name, root=data_root())
    sweep = Folder(folder) / "scale"
    assert sweep.local is not None
    ids = [trial.entry.trial_id for trial in plan.trials]
    directory = trial_directory(sweep, "finished")
    directory.write_records([{"epoch": 1.0, "lr": 0.1, **NOTHING}])
    directory.write_status(Status(status="finished", epoch=1))
    for trial_id in ids[10:]:
        shutil.copytree(Path(directory.folder.location), sweep.local / "trials" / trial_id)
    began = time.monotonic()
    command = [sys.executable, str(ROOT / "run_sweep.py"), str(file), "--storage", folder]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited = [sweep.local / "trials" / trial_id / "execution.json" for trial_id in ids[:10]]
    while not any(path.exists() for path in waited):
        assert process.poll() is None, "the sweep has ended"
        time.sleep(0.05)
    seconds = time.monotonic() - began
    process.terminate()
    process.wait()
    return {"seconds": seconds}


PARTS = {"dry-run": dry_runs, "trials": trials, "start": starts}
CHILDREN = {"wsnet": _through_wsnet, "plain": _plain, "start": _start}


def _shown(used: Usage) -> str:
    return f"{used.seconds:6.1f} s  {used.cpu:6.1f} s of CPU  {used.memory / GIB:.2f} GiB"


def _line(what: str, told: dict[str, Any]) -> str:
    each = f"{1000 * told['seconds']:6.1f} ms each, {1000 * told['cpu']:5.1f} ms of CPU in the driver"
    grown = f"last tenth over first: {told['growth']:.2f}, CPU {told['cpu_growth']:.2f}"
    return f"{what}  {each}  ({grown})  {told['memory'] / GIB:.2f} GiB"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=[*PARTS, "all"], default="all", help="what to measure")
    parser.add_argument("--settings", type=int, nargs="+", default=[100, 10_000, 1_000_000], help="of dry runs")
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000], help="trials of each sweep")
    parser.add_argument("--compared", type=int, default=1000, help="trials of the comparison with Ray Tune; 0: none")
    parser.add_argument("--rounds", type=int, default=2, help="of the comparison with Ray Tune")
    parser.add_argument("--finished", type=int, nargs="+", default=[0, 9990], help="finished trials at the start")
    return parser.parse_args()


if __name__ == "__main__":
    main()
