"""The cost of each norm in a network: time of a ResNet-20 training step relative to the step with batch norm.

    python benchmarks/norm_steps.py [--threads N] [--rounds N] [--batches N ...] [--layouts L ...] [--device D]

Forward, backward and SGD step on random images of 3x32x32. All norms take turns in one process, in an order that
rotates; a turn uses about the same number of images at any batch size. Each ratio is the median over the rounds of a
norm's time divided by batch norm's in the same round. Prints a Markdown table. On CPUs with a C++ compiler, `online`
uses the compiled kernel (WSNET_KERNELS=0 turns it off).
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from interleaved import interleaved
from pydantic import TypeAdapter
from ratios import ratio
from torch import Tensor
from torch.nn import functional as F

from wsnet.config.architectures import ModelConfig
from wsnet.layers import initialize
from wsnet.models import build

NORMS: dict[str, dict[str, Any]] = {
    "batch": {"norm": {"name": "batch"}},
    "group": {"norm": {"name": "group", "groups": 8}},
    "group + WS": {"norm": {"name": "group", "groups": 8}, "weight": "standardized"},
    "layer": {"norm": {"name": "layer"}},
    "instance": {"norm": {"name": "instance"}},
    "online": {"norm": {"name": "online"}},
    "batch_renorm": {"norm": {"name": "batch_renorm"}},
    "ghost_batch (4)": {"norm": {"name": "ghost_batch", "ghost_size": 4}},
    "filter_response": {"norm": {"name": "filter_response"}},
    "evonorm_s0": {"norm": {"name": "evonorm_s0", "groups": 8}},
    "none": {"norm": {"name": "none"}},
    "none + WN": {"norm": {"name": "none"}, "weight": "normalized"},
}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    columns = [(batch, layout) for batch in arguments.batches for layout in arguments.layouts]
    cells = {column: _ratios(*column, arguments) for column in columns}
    print("| norm | " + " | ".join(f"batch {batch}, {layout}" for batch, layout in columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for name in NORMS:
        print(f"| {name} | " + " | ".join(f"{cells[column][name]:.2f}" for column in columns) + " |")
        for batch, layout in columns if name != "batch" else ():
            what = f"{name} / batch norm: batch {batch}, {layout}"
            ratio(what, cells[batch, layout][name], higher_is_better=False)


def _ratios(batch: int, layout: str, arguments: argparse.Namespace) -> dict[str, float]:
    steps = {name: _step(model, batch, LAYOUTS[layout], arguments.device) for name, model in NORMS.items()}
    rounds = interleaved(steps, rounds=arguments.rounds, steps=max(1, 128 // batch), device=arguments.device)
    return {name: statistics.median(seconds[name] / seconds["batch"] for seconds in rounds) for name in steps}


def _step(model: dict[str, Any], batch: int, layout: torch.memory_format, device: str) -> Callable[[], Tensor]:
    config: ModelConfig = TypeAdapter(ModelConfig).validate_python({"name": "cifar_resnet", "depth": 20, **model})
    network = build(config, classes=10, shape=(3, 32, 32))
    initialize(network, 0)
    network = network.to(device).to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, 32, 32, generator=generator).to(device).to(memory_format=layout)
    labels = torch.randint(10, (batch,), generator=generator).to(device)

    def step() -> Tensor:
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 8])
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
