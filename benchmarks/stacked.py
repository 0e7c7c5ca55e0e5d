"""Stacked replicates: images per second of the seeds of one setting trained side by side, over one trial by one.

    python benchmarks/stacked.py [--replicates R] [--rounds N] [--images N] [--threads N] [--device D] [--norm NORM]
                                 [--cases digits:1 ...] [--layouts L ...]

Batches and steps as in training (Adam, crops), without evaluation: the quickstart's ResNet-8 of width 8 on the digits,
and a ResNet-20 on made-up images of 3x32x32. Trials and stack take turns in one process; a turn is the same number of
steps for each replicate. Each ratio is the median over the rounds, shown with its quartiles.
"""

import argparse
import itertools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from interleaved import interleaved
from made_up import made_up_images
from ratios import ratio

from wsnet.config import TrialConfig
from wsnet.data import Batch
from wsnet.training import StackedTraining, Training, Trial
from wsnet.training.execution import settle
from wsnet.training.meter import StackedMeter, TrainingMeter

MODELS: dict[str, dict[str, Any]] = {
    "digits": {
        "data": {"name": "digits", "validation": 300, "augment": {"crop_padding": 1}},
        "model": {"name": "cifar_resnet", "depth": 8, "width": 8},
    },
    "resnet20": {
        "data": {"name": "cifar10", "augment": {"crop_padding": 4, "flip": True}},
        "model": {"name": "cifar_resnet", "depth": 20},
    },
}
CASES = ("digits:1", "digits:8", "digits:64", "resnet20:2", "resnet20:8", "resnet20:128")


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    replicates, kind = arguments.replicates, f"{arguments.device}, {arguments.threads} threads, norm {arguments.norm}"
    print(f"{kind}: images/s of {replicates} replicates together")
    print(f"{'':<14}{'layout':<14}{'one by one':>12}{'stacked':>12}{'ratio':>8}  quartiles")
    for case in arguments.cases:
        name, size = case.split(":")
        for layout in arguments.layouts:
            _measure(name, int(size), layout, arguments)


def _measure(name: str, size: int, layout: str, arguments: argparse.Namespace) -> None:
    trials = [_trial(name, size, layout, seed, arguments) for seed in range(arguments.replicates)]
    alone = [_steps(Training(trial), TrainingMeter(torch.device(arguments.device))) for trial in trials]
    meter = StackedMeter(torch.device(arguments.device), len(trials))
    contestants = {"alone": lambda: [step() for step in alone], "stacked": _steps(StackedTraining(trials), meter)}
    steps = max(1, arguments.images // size)
    rounds = interleaved(contestants, rounds=arguments.rounds, steps=steps, warmup=2, device=arguments.device)
    low, median, high = statistics.quantiles((seconds["alone"] / seconds["stacked"] for seconds in rounds), n=4)
    images = steps * size * len(trials)
    speeds = [images / statistics.median(seconds[key] for seconds in rounds) for key in ("alone", "stacked")]
    print(f"{f'{name}:{size}':<14}{layout:<14}{speeds[0]:>12.0f}{speeds[1]:>12.0f}{median:>8.2f}", end="")
    print(f"  {low:.2f} - {high:.2f}", flush=True)
    ratio(f"images/s, {name}, batch {size}, {layout}: stacked / one by one", median, higher_is_better=True)


def _trial(name: str, size: int, layout: str, seed: int, arguments: argparse.Namespace) -> Trial:
    model = {**MODELS[name]["model"], "norm": {"name": arguments.norm, **_options(arguments.norm)}}
    config = TrialConfig.model_validate(
        {
            **MODELS[name],
            "model": model,
            "optim": {"name": "adam", "lr": 1e-4},
            "train": {"epochs": 10**6, "batch_size": size, "drop_last": True},
            "execution": {"memory_format": layout, "device": arguments.device, "threads": arguments.threads},
            "seed": seed,
        }
    )
    config = config.model_copy(update={"execution": settle(config.execution)})
    return Trial(config=config, images=made_up_images(config, 1024))


def _options(norm: str) -> dict[str, Any]:
    return {"groups": 4} if norm in ("group", "evonorm_s0") else {}


def _steps(training: Training | StackedTraining, meter: Any) -> Callable[[], None]:
    """A function that runs the training's next step."""
    training.model.train()

    def batches() -> Iterator[tuple[int, Batch]]:
        for epoch in itertools.count(1):
            for step, batch in enumerate(training.batches.epoch(epoch)):
                yield training.global_step(epoch, step), batch

    upcoming = batches()

    def run() -> None:
        step, batch = next(upcoming)
        training.train_step(step, batch, meter)
        meter.has_diverged()

    return run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=128, help="of each replicate in a turn (default: 128)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--norm", default="batch")
    parser.add_argument("--cases", nargs="+", default=CASES, help=f"model:batch size (default: {' '.join(CASES)})")
    parser.add_argument("--layouts", nargs="+", default=["channels_last"], help="channels_last, contiguous")
    return parser.parse_args()


if __name__ == "__main__":
    main()
