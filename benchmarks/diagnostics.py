"""The cost of `train.diagnostics`: the extra time of the one step per epoch that it measures.

    python benchmarks/diagnostics.py [--threads N] [--batch-size 128] [--rounds 15] [--norm batch] [--compile]

Measured and plain steps of a ResNet-20 on random images of CIFAR's shape take turns in one process. The extra time of a
measured step (hooks, transfer and arithmetic) is a median over rounds, in units of a plain step; divided by the number
of steps per epoch it is the cost. The bar: less than 3 % in an epoch of 390 steps, as in CIFAR at batch 128.
"""

import argparse
import contextlib
import statistics
import sys
import time

import torch
from made_up import made_up_images
from ratios import ratio

from wsnet.config import TrialConfig
from wsnet.data import Batch
from wsnet.training import Training, Trial
from wsnet.training.execution import applied, settle
from wsnet.training.meter import Meter

EPOCHS = (40, 390)
BAR = 0.03


def main() -> int:
    arguments = _arguments()
    training = _training(arguments)
    with applied(training.config):
        batch = next(iter(training.batches.epoch(1)))
        for measured in (False, True) * 2:
            seconds_of_step(training, batch, measured=measured)
        rounds = [
            {measured: seconds_of_step(training, batch, measured=measured) for measured in order}
            for order in [(False, True), (True, False)] * (arguments.rounds // 2 + 1)
        ]
    plain = statistics.median(each[False] for each in rounds)
    extra = statistics.median((each[True] - each[False]) / each[False] for each in rounds)
    norm, compiled = training.config.model.norm.name, ", compiled" if arguments.compile else ""
    print(f"ResNet-20, {norm} norm{compiled}, batch {arguments.batch_size}, {training.config.execution.device}")
    print(f"a step takes {1000 * plain:.1f} ms; a measured one {1 + extra:.2f} times that")
    ratio(f"{norm}{compiled}: measured step / plain step", 1 + extra, higher_is_better=False)
    for steps in EPOCHS:
        print(f"cost in an epoch of {steps} steps: {100 * extra / steps:.2f} %")
    return 0 if extra / EPOCHS[-1] < BAR else 1


def seconds_of_step(training: Training, batch: Batch, *, measured: bool) -> float:
    """Time of one optimizer step, including all the work of measuring it."""
    assert training.diagnostics is not None
    _wait(training)
    began = time.perf_counter()
    with training.diagnostics.measuring() if measured else contextlib.nullcontext():
        training.train_step(0, batch, Meter(training.device))
    if measured:
        training.diagnostics.read()
    _wait(training)
    return time.perf_counter() - began


def _wait(training: Training) -> None:
    if training.device.type == "cuda":
        torch.cuda.synchronize()


def _training(arguments: argparse.Namespace) -> Training:
    batch = arguments.batch_size
    norm = {"name": arguments.norm, **({"groups": 8} if arguments.norm == "group" else {})}
    config = TrialConfig.model_validate(
        {
            "data": {"name": "cifar10", "limit": 2 * batch, "validation": 0},
            "model": {"name": "cifar_resnet", "depth": 20, "norm": norm},
            "optim": {"name": "sgd", "lr": 0.01, "momentum": 0.9},
            "train": {"epochs": 1, "batch_size": batch, "diagnostics": True},
            "execution": {"threads": arguments.threads, "compile": arguments.compile},
        }
    )
    settled = config.model_copy(update={"execution": settle(config.execution)})
    return Training(Trial(config=settled, images=made_up_images(config, 2 * batch)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--norm", default="batch", choices=["batch", "group", "layer", "instance", "online", "none"])
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
