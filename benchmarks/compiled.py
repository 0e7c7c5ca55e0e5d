"""What torch.compile and bfloat16 buy on a CPU: images/s over eager float32 steps, and over the usual script.

    python benchmarks/compiled.py [--batches 128 2] [--rounds 12] [--images 256] [--threads 1] [--norm batch]
                                  [--kinds KIND ...] [--cold]

A ResNet-20 on images of CIFAR-10's shape, channels_last, trained as `fit` trains it (data, augmentation, step): with
`train.precision` float32 and bfloat16, each eager and with `execution.compile`. At batch 128 the usual script of
loop_efficiency.py takes part. All take turns in one process, in an order that rotates; a turn has about the same number
of images at any batch size. Each ratio is the median over the rounds, shown with its quartiles.

The bars, at batch 128: compiled 1.15. On a processor that multiplies bfloat16 numbers (AVX512-bf16, AMX), both 1.9, and
over the usual script 2.5; on others torch computes in float32 between conversions, and there is no bar.

How long compiling takes is printed, too: the first step of each, with what earlier runs left in the cache, or (--cold)
with an empty one.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator

from loop_efficiency import BATCH, measure, usual
from machine import machine
from made_up import made_up_images
from ratios import ratio

from wsnet.config import TrialConfig
from wsnet.training import Training, Trial
from wsnet.training.execution import applied
from wsnet.training.meter import Meter

EAGER, USUAL = "float32", "usual"
KINDS = {
    EAGER: {"train.precision": "float32"},
    "float32 compiled": {"train.precision": "float32", "execution.compile": True},
    "bfloat16": {"train.precision": "bfloat16"},
    "bfloat16 compiled": {"train.precision": "bfloat16", "execution.compile": True},
}


def main() -> int:
    arguments = _arguments()
    has_bfloat16 = machine()["bfloat16"]
    print(f"{machine()['processor']}, bfloat16: {', '.join(has_bfloat16) or 'none'}; {arguments.threads} threads")
    missed = 0
    with tempfile.TemporaryDirectory() as empty:
        if arguments.cold:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
        for batch in arguments.batches:
            rounds = _rounds(batch, arguments)
            bars = {(EAGER, "float32 compiled"): 1.15} if batch == BATCH else {}
            if batch == BATCH and has_bfloat16:
                bars |= {(EAGER, "bfloat16 compiled"): 1.9, (USUAL, "bfloat16 compiled"): 2.5}
            missed += _print(rounds, batch, bars)
    return min(missed, 1)


def _rounds(batch: int, arguments: argparse.Namespace) -> list[dict[str, float]]:
    """Seconds of each contestant's turn, in each round."""
    kinds = {name: how for name, how in KINDS.items() if name in (EAGER, *arguments.kinds)}
    configs = {name: _config(batch, arguments, changes) for name, changes in kinds.items()}
    trials = {name: Trial(config=config, images=made_up_images(config, 10_000)) for name, config in configs.items()}
    with applied(configs[EAGER]):
        # All of them before the first step: what is compiled for one is dropped when the next one is made.
        contestants = {name: _steps(Training(trial)) for name, trial in trials.items()}
        for name, steps in contestants.items():
            began = time.perf_counter()
            next(steps)
            print(f"batch {batch}, {name}: the first step takes {time.perf_counter() - began:.1f} s", flush=True)
        if batch == BATCH:
            contestants[USUAL] = usual(trials[EAGER])
        return measure(contestants, steps=max(1, arguments.images // batch), rounds=arguments.rounds)


def _steps(training: Training) -> Iterator[None]:
    """The steps of a training, epoch after epoch."""
    step = 0
    training.model.train()
    for epoch in itertools.count(1):
        meter = Meter(training.device)
        for batch in training.batches.epoch(epoch):
            training.train_step(step, batch, meter)
            step += 1
            yield
        meter.read()


def _config(batch: int, arguments: argparse.Namespace, changes: dict[str, object]) -> TrialConfig:
    norm = {"name": arguments.norm, **({"groups": 8} if arguments.norm == "group" else {})}
    sections = {
        "data": {"name": "cifar10", "augment": {"crop_padding": 4, "flip": True}},
        "model": {"name": "cifar_resnet", "depth": 20, "norm": norm},
        "optim": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4},
        "train": {"epochs": 100, "batch_size": batch, "drop_last": True, "precision": changes["train.precision"]},
        "execution": {
            "threads": arguments.threads,
            "device": "cpu",
            "memory_format": "channels_last",
            "compile": changes.get("execution.compile", False),
        },
    }
    return TrialConfig.model_validate(sections)


def _print(rounds: list[dict[str, float]], batch: int, bars: dict[tuple[str, str], float]) -> int:
    """Print the table; return how many bars are missed."""
    missed = 0
    for over in (EAGER, USUAL):
        for name in (name for name in rounds[0] if over in rounds[0] and name not in (over, USUAL)):
            low, median, high = statistics.quantiles(seconds[over] / seconds[name] for seconds in rounds)
            bar = bars.get((over, name))
            missed += bar is not None and median < bar
            wanted = "" if bar is None else f"bar {bar:.2f}  {'met' if median >= bar else 'MISSED'}"
            what = f"batch {batch}, {name} / {over}"
            print(f"{what:40}{median:6.2f}  ({low:.2f} to {high:.2f})  {wanted}".rstrip(), flush=True)
            ratio(f"images/s, {what}", median, higher_is_better=True)
    return missed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 2], help="batch sizes (default: 128 2)")
    parser.add_argument("--rounds", type=int, default=12, help="rounds, at least 2 (default: 12)")
    parser.add_argument("--images", type=int, default=256, help="images of a turn (default: 256)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--norm", default="batch", choices=["batch", "group", "layer", "instance", "online", "none"])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="(default: all)")
    parser.add_argument("--cold", action="store_true", help="start with an empty cache of compiled steps")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
