"""The cost of small micro-batches: time of a training step relative to running the whole batch at once.

    python benchmarks/micro_batches.py [--threads N] [--steps N] [--rounds N] [--sizes 1 8 64] [--norms N ...]
                                       [--device D]

Steps of a ResNet-20 on 256 random images of 3x32x32 (forward, backward, SGD), for each norm and micro-batch size: as
wsnet plans them, and (`loop`) as the equivalent loop over micro-batches. They take turns in one process, in an order
that rotates. Each ratio is the median over the rounds, shown with its quartiles. The bar is 1.05 for group norm with
standardized weights and micro-batches of 1.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from interleaved import interleaved
from made_up import made_up_images
from ratios import ratio

from wsnet.config import TrialConfig
from wsnet.training import Training, Trial
from wsnet.training.execution import settle
from wsnet.training.meter import Meter
from wsnet.training.micro_batches import plan_micro_batches

BATCH = 256
BAR = 1.05
NORMS: dict[str, dict[str, Any]] = {
    "batch": {"norm": {"name": "batch"}},
    "group": {"norm": {"name": "group", "groups": 8}},
    "group + ws": {"norm": {"name": "group", "groups": 8}, "weight": "standardized"},
    "online": {"norm": {"name": "online"}},
}


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    bar = None
    print(f"{'norm':<12}{'micro-batch':>12}  {'plan':<14}{'over whole':>11}  {'quartiles':<16}{'loop over whole':>16}")
    for name, model in ((name, NORMS[name]) for name in arguments.norms):
        for size in arguments.sizes:
            steps = {"whole": _step(model, None, "auto", arguments), "plan": _step(model, size, "auto", arguments)}
            if not arguments.no_loop:
                steps["loop"] = _step(model, size, "loop", arguments)
            rounds = interleaved(steps, rounds=arguments.rounds, steps=arguments.steps, device=arguments.device)
            ratios = {key: [seconds[key] / seconds["whole"] for seconds in rounds] for key in steps}
            median = statistics.median(ratios["plan"])
            low, _, high = statistics.quantiles(ratios["plan"], n=4)
            what = plan_micro_batches(_config(model, size, "auto")).what
            looped = f"{statistics.median(ratios['loop']):>16.2f}" if "loop" in ratios else ""
            print(f"{name:<12}{size:>12}  {what:<14}{median:>11.3f}  {low:.3f} - {high:.3f}   {looped}", flush=True)
            ratio(f"{name}, micro-batches of {size}: step / whole batch", median, higher_is_better=False)
            if (name, size) == ("group + ws", 1):
                bar = median
    if bar is not None:
        print(f"\ngroup + ws, micro-batches of 1: {bar:.3f} (bar {BAR})")
    return 0 if bar is None or bar <= BAR else 1


def _config(model: dict[str, Any], size: int | None, how: str) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "data": {"name": "cifar10"},
            "model": {"name": "cifar_resnet", "depth": 20, **model},
            "optim": {"name": "sgd", "lr": 0.01, "momentum": 0.9},
            "train": {"epochs": 1, "batch_size": BATCH, "micro_batch_size": size},
            "execution": {"micro_batches": how},
        }
    )


def _step(model: dict[str, Any], size: int | None, how: str, arguments: argparse.Namespace) -> Callable[[], None]:
    config = _config(model, size, how)
    settled = settle(config.execution.model_copy(update={"device": arguments.device, "threads": arguments.threads}))
    config = config.model_copy(update={"execution": settled})
    training = Training(Trial(config=config, images=made_up_images(config, BATCH)))
    training.model.train()
    batch = next(training.batches.epoch(1))
    return lambda: training.train_step(0, batch, Meter(training.device))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--norms", nargs="+", choices=NORMS, default=list(NORMS), metavar="NORM")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-loop", action="store_true", help="leave out the loop, which takes most of the time")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
