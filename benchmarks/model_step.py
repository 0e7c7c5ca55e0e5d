"""The cost of wsnet's networks: time of a training step relative to a network written in a plain script.

    python benchmarks/model_step.py [--threads N] [--steps N] [--rounds N] [--device D]

Forward, backward and SGD step of a ResNet-20 with batch norm on 128 images of 3x32x32, as built by `wsnet.models` and
as written in torchvision's style (below), with the same weights, memory format and optimizer. They take turns every few
steps in one process, in an order that rotates. The ratio is the median over the rounds, shown with its quartiles. The
bar is 1.03.
"""

import argparse
import statistics
import sys
from collections.abc import Callable

import torch
from interleaved import interleaved
from pydantic import TypeAdapter
from ratios import ratio
from torch import Tensor, nn
from torch.nn import functional as F

from wsnet.config.architectures import ModelConfig
from wsnet.layers import initialize
from wsnet.models import build

BATCH = 128
BAR = 1.03


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    config = TypeAdapter(ModelConfig).validate_python({"name": "cifar_resnet", "depth": 20})
    ours = build(config, classes=10, shape=(3, 32, 32))
    initialize(ours, 0)
    plain = PlainResNet(3)
    plain.load_state_dict(ours.state_dict())
    contestants = {"wsnet": step(ours, arguments), "plain": step(plain, arguments)}
    rounds = interleaved(contestants, rounds=arguments.rounds, steps=arguments.steps, warmup=2, device=arguments.device)
    print(f"{arguments.device}, {arguments.threads} threads, {arguments.rounds} rounds of {arguments.steps} steps")
    for name in contestants:
        milliseconds = statistics.median(seconds[name] for seconds in rounds) * 1e3 / arguments.steps
        print(f"{name:8}{milliseconds:8.1f} ms a step")
    low, median, high = statistics.quantiles(seconds["wsnet"] / seconds["plain"] for seconds in rounds)
    met = "met" if median <= BAR else "MISSED"
    print(f"wsnet / plain: {median:.3f} ({low:.3f} to {high:.3f})  bar {BAR:.2f}  {met}")
    ratio("step, wsnet / plain", median, higher_is_better=False)
    return int(median > BAR)


def step(model: nn.Module, arguments: argparse.Namespace) -> Callable[[], None]:
    """A function that runs one training step."""
    model.to(arguments.device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, 32, 32, generator=generator).to(arguments.device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,), generator=generator).to(arguments.device)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return run


class PlainBlock(nn.Module):
    """torchvision's BasicBlock."""

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        """N x inplanes x H x W to N x planes x H/stride x W/stride."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class PlainResNet(nn.Module):
    """torchvision's ResNet, with the stem and the three stages for CIFAR."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self._stage(16, 16, blocks, 1)
        self.layer2 = self._stage(16, 32, blocks, 2)
        self.layer3 = self._stage(32, 64, blocks, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(64, 10)

    def _stage(self, inplanes: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            PlainBlock(inplanes, planes, stride), *(PlainBlock(planes, planes, 1) for _ in range(blocks - 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x 3 x H x W to N x 10 logits."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--steps", type=int, default=2, help="steps per turn (default: 2)")
    parser.add_argument("--rounds", type=int, default=30, help="rounds, at least 2 (default: 30)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
