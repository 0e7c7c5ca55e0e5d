"""The cost of weight reparametrization: time of a training step relative to plain weights.

    python benchmarks/weight_standardization.py [--threads N] [--steps N] [--rounds N] [--micro-batches N] [--device D]

Forward, backward and SGD step of a ResNet-20 with group norm on 128 images of 3x32x32, with plain, standardized and
normalized weights. They take turns every few steps in one process, in an order that rotates. Each ratio is the median
over the rounds, shown with its quartiles. The bar for standardized weights is 1.15 with the whole batch at once. With
micro-batches, the filters are computed for each micro-batch or (`once`) once per step, by `once_per_step`.
"""

import argparse
import contextlib
import statistics
import sys
from collections.abc import Callable

import torch
from interleaved import interleaved
from pydantic import TypeAdapter
from ratios import ratio
from torch.nn import functional as F

from wsnet.config.architectures import ModelConfig
from wsnet.layers import initialize, once_per_step
from wsnet.models import build

BATCH = 128
BAR = 1.15


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    contestants = {weight: step(weight, arguments) for weight in ("none", "standardized", "normalized")}
    if arguments.micro_batches > 1:
        contestants["once"] = step("standardized", arguments, once=True)
    names = list(contestants)
    rounds = interleaved(contestants, rounds=arguments.rounds, steps=arguments.steps, warmup=2, device=arguments.device)
    print(f"{arguments.device}, {arguments.threads} threads, {arguments.rounds} rounds of {arguments.steps} steps")
    for name in names:
        low, median, high = statistics.quantiles(seconds[name] / seconds["none"] for seconds in rounds)
        milliseconds = statistics.median(seconds[name] for seconds in rounds) * 1e3 / arguments.steps
        print(f"{name:14}{milliseconds:8.1f} ms a step   {median:5.3f} of plain  ({low:.3f} to {high:.3f})")
        if name != "none":
            ratio(f"step, {name} / plain weights", median, higher_is_better=False)
    if arguments.micro_batches > 1:
        return 0
    median = statistics.median(seconds["standardized"] / seconds["none"] for seconds in rounds)
    print(f"standardized: {median:.3f}  bar {BAR:.2f}  {'met' if median <= BAR else 'MISSED'}")
    return int(median > BAR)


def step(weight: str, arguments: argparse.Namespace, once: bool = False) -> Callable[[], None]:
    """A function that runs one training step."""
    norm = {"name": "group", "groups": 8}
    config = {"name": "cifar_resnet", "depth": 20, "norm": norm, "weight": weight}
    model = build(TypeAdapter(ModelConfig).validate_python(config), classes=10, shape=(3, 32, 32))
    initialize(model, 0)
    model.to(arguments.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, fused=True)
    images = torch.randn(BATCH, 3, 32, 32, device=arguments.device).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,), device=arguments.device)
    parts = list(zip(images.chunk(arguments.micro_batches), labels.chunk(arguments.micro_batches), strict=True))

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with once_per_step(model) if once else contextlib.nullcontext():
            for part, classes in parts:
                (F.cross_entropy(model(part), classes) / len(parts)).backward()
        optimizer.step()

    return run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--steps", type=int, default=3, help="steps per turn (default: 3)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds, at least 2 (default: 20)")
    parser.add_argument("--micro-batches", type=int, default=1, help="parts of the batch (default: 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
