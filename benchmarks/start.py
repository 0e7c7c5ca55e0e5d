"""The time from a trial's start to its first batch, and how often processes that start at once decode the images.

    python benchmarks/start.py [--trials 20] [--processes 10] [--data-root DIR]

CIFAR-10, ResNet-20, batch 128, random crop and flip, with the images in the cache:

    images, first batch    to the first training batch in a process that has just imported its libraries: finding and
                           mapping the set, drawing the epoch's order and crops (bar: 0.1 s)
    with a validation set  the same with a split of 5,000 images, which copies the set once (no bar)
    a trial, first batch   from `Trial.prepare` to the first training batch, with the model and the optimizer, in a
                           process that has trained before, as in a sweep (bar: 0.1 s)
    the first in a process the same; torch imports its compiler when it creates the first optimizer (no bar)

For each, prints the median, the slowest and the CPU time. Then, with an empty cache:

    decoded                how often processes that start at the same moment decode the set (bar: 1)
    all have it            seconds until the last of them has the images, and for one process alone
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from wsnet.config import TrialConfig
from wsnet.data import Batches, DataError, data_root, load, sources
from wsnet.training import Training, Trial

BAR = 0.1
Seconds = tuple[float, float]
"""Wall-clock and CPU time (CPU time is comparable on a busy machine too)."""


def main() -> int:
    arguments = _arguments()
    root = data_root(arguments.data_root)
    try:
        load(_config().data, root=root)  # into the cache
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    context = multiprocessing.get_context("forkserver")  # each child starts with its imports done
    context.set_forkserver_preload(["wsnet.training"])
    missed = warm(context, root, arguments.trials)
    return min(1, missed + cold(context, root, arguments.processes))


def warm(context: ForkServerContext, root: Path, trials: int) -> int:
    """Print the times with a warm cache; return how many bars are missed."""
    plain, validation = ([_in_child(context, _first_batch, root, size) for _ in range(15)] for size in (0, 5000))
    first, *later = _in_child(context, _trials, root, trials)
    missed = _line("images, first batch", plain, BAR)
    _line("with a validation set", validation)
    missed += _line("a trial, first batch", later, BAR)
    _line("the first in a process", [first])
    return missed


def cold(context: ForkServerContext, root: Path, processes: int) -> int:
    """Print what happens with an empty cache; return whether the bar is missed."""
    alone = _at_once(context, root, 1)
    together = _at_once(context, root, processes)
    decodes = sum(count for count, _, _ in together)
    assert len({digest for _, digest, _ in together + alone}) == 1
    verdict = "met" if decodes == 1 else "MISSED"
    print(f"{'decoded':24}{decodes:4} times by {processes} processes      bar 1  {verdict}")
    last, one = max(seconds for _, _, seconds in together), alone[0][2]
    print(f"{'all have it':24}{last:8.2f} s  (one alone: {one:.2f} s)")
    return int(decodes != 1)


def _first_batch(root: Path, validation: int) -> Seconds:
    config = _config(validation)
    began = _now()
    images = load(config.data, root=root)
    options: dict[str, Any] = {"mean": images.mean, "std": images.std, "augment": config.data.augment, "seed": 0}
    next(Batches(images.train, batch_size=128, **options).epoch(1))
    return _since(began)


def _trials(root: Path, count: int) -> list[Seconds]:
    seconds = []
    for seed in range(count + 1):
        config = _config().model_copy(update={"seed": seed})
        began = _now()
        next(Training(Trial.prepare(config, root=root, cpus=1)).batches.epoch(1))
        seconds.append(_since(began))
    return seconds


def _now() -> Seconds:
    return time.perf_counter(), time.process_time()


def _since(began: Seconds) -> Seconds:
    return time.perf_counter() - began[0], time.process_time() - began[1]


def _at_once(context: ForkServerContext, root: Path, processes: int) -> list[tuple[int, str, float]]:
    """Decodes, hash and seconds of each of several processes that load the set into one empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        together, results = context.Barrier(processes), context.SimpleQueue()
        children = [
            context.Process(target=_load, args=(root, cache, together, results), daemon=True) for _ in range(processes)
        ]
        for child in children:
            child.start()
        found = [results.get() for _ in children]
        for child in children:
            child.join()
    return found


def _load(root: Path, cache: str, together: Any, results: Any) -> None:
    os.environ["WSNET_CACHE"] = cache
    decode, calls = sources.FoundSet.decode, []

    def counted(source: sources.FoundSet) -> Any:
        calls.append(source)
        return decode(source)

    sources.FoundSet.decode = counted  # type: ignore[method-assign]
    config = _config().data
    together.wait()
    began = time.perf_counter()
    images = load(config, root=root)
    results.put((len(calls), images.hash, time.perf_counter() - began))


def _in_child(context: ForkServerContext, function: Any, *arguments: Any) -> Any:
    results = context.SimpleQueue()
    child = context.Process(target=_answer, args=(results, function, *arguments), daemon=True)
    child.start()
    answer = results.get()
    child.join()
    return answer


def _answer(results: Any, function: Any, *arguments: Any) -> None:
    results.put(function(*arguments))


def _config(validation: int = 0) -> TrialConfig:
    augment = {"crop_padding": 4, "flip": True}
    sections = {
        "data": {"name": "cifar10", "validation": validation, "augment": augment},
        "model": {"name": "cifar_resnet", "depth": 20},
        "optim": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "train": {"epochs": 1, "batch_size": 128},
        "execution": {"threads": 1, "device": "cpu"},
    }
    return TrialConfig.model_validate(sections)


def _line(what: str, measured: list[Seconds], bar: float | None = None) -> int:
    seconds, cpu = (statistics.median(kind) for kind in zip(*measured, strict=True))
    slowest = max(clock for clock, _ in measured)
    wanted = "" if bar is None else f"  bar {bar} s  {'met' if seconds <= bar else 'MISSED'}"
    print(f"{what:24}{seconds:8.3f} s  (slowest {slowest:.3f}, CPU {cpu:.3f}){wanted}")
    return int(bar is not None and seconds > bar)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="trials run one after another (default: 20)")
    parser.add_argument("--processes", type=int, default=10, help="processes that start at once (default: 10)")
    parser.add_argument("--data-root", help="folder of the image sets (default: $WSNET_DATA or ./data)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
