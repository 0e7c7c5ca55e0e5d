"""Accuracy compared with a plain PyTorch script: a small ResNet with batch norm on CIFAR-10, one recipe, several seeds.

    python benchmarks/accuracy.py [--data-root DIR] [--depth N] [--epochs N] [--seeds N] [--limit N] [--threads N]
                                  [--out DIR]

Batches of 128 (the last, smaller one is dropped), SGD with momentum 0.9 and weight decay 2e-4, learning rate annealed
per step from 0.1 to 0 along a cosine; crop with padding 4 (black, before normalization) and flip. At a constant
learning rate of 0.1 the running statistics make the test accuracy jump by 10 points within 30 steps; at the end of a
cosine they do not. The plain script is what people usually write: torchvision's transforms image by image, torch's
DataLoader with its own shuffling, and its own network. The same seed gives different random numbers in the two, so the
seeds are compared unpaired.

Prints each run as it ends. Then it prints the medians and the difference (Hodges-Lehmann, wsnet minus plain script)
with its exact rank-sum interval, for the test accuracy after the last epoch and for the mean training loss of the last
epoch. The exit status is 1 only if one of these intervals excludes zero to wsnet's disadvantage. With --out, finished
runs are kept and the same command resumes.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from wsnet.config import TrialConfig
from wsnet.data import ImageSet, load
from wsnet.data.cache import data_root
from wsnet.report.verdicts.intervals import rank_sum_interval
from wsnet.storage import Folder
from wsnet.training import Trial, fit

RECIPE = {"lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4}
WIDTHS = (16, 32, 64)

Outcome = dict[str, float]
"""One run: "accuracy" on the test set after the last epoch in percent, and mean training "loss" of the last epoch."""


def main() -> int:
    arguments = _arguments()
    root = arguments.data_root or data_root()
    out = arguments.out or Path(tempfile.mkdtemp())
    runs: dict[str, Callable[[int], Outcome]] = {
        "plain": lambda seed: plain(seed, root, arguments),
        "wsnet": lambda seed: ours(seed, root, out, arguments),
    }
    found: dict[str, list[Outcome]] = {name: [] for name in runs}
    for seed in range(arguments.seeds):
        for name, run in runs.items():
            outcome = kept(out / _file(name, seed, arguments), lambda run=run, seed=seed: run(seed))
            found[name].append(outcome)
            print(f"{name}  seed {seed}  accuracy {outcome['accuracy']:.2f} %  loss {outcome['loss']:.4f}", flush=True)
    worse = [_is_worse(quantity, found, arguments.level) for quantity in ("accuracy", "loss")]
    return int(any(worse))


def kept(file: Path, run: Callable[[], Outcome]) -> Outcome:
    """The outcome of a run: read from its file if it is there, otherwise run and written to it."""
    if not file.exists():
        outcome = run()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(outcome))
    found: Outcome = json.loads(file.read_text())
    return found


def _file(name: str, seed: int, arguments: argparse.Namespace) -> str:
    return f"{name}-resnet{arguments.depth}-{arguments.epochs}-epochs-{arguments.limit or 'all'}-images-{seed}.json"


def _is_worse(quantity: str, found: dict[str, list[Outcome]], level: float) -> bool:
    """Print how one quantity compares; return whether its interval excludes zero to wsnet's disadvantage."""
    plain, ours = ([run[quantity] for run in found[name]] for name in ("plain", "wsnet"))
    difference = rank_sum_interval(ours, plain, level=level)
    worse = difference.below_zero if quantity == "accuracy" else difference.above_zero
    print(
        f"{quantity:8}  median: plain {statistics.median(plain):.4f}, wsnet {statistics.median(ours):.4f}; "
        f"wsnet - plain: {difference.estimate:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] at "
        f"{difference.level:.2%}, {len(ours)} and {len(plain)} seeds: {'WORSE' if worse else 'not worse'}"
    )
    return worse


def config(seed: int, arguments: argparse.Namespace) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "data": {"name": "cifar10", "limit": arguments.limit, "augment": {"crop_padding": 4, "flip": True}},
            "model": {"name": "cifar_resnet", "depth": arguments.depth},
            "optim": {"name": "sgd", **RECIPE, "schedule": {"name": "cosine"}},
            "train": {"epochs": arguments.epochs, "batch_size": 128, "drop_last": True},
            "execution": {"threads": arguments.threads, "device": arguments.device},
            "seed": seed,
        }
    )


def ours(seed: int, root: Path, out: Path, arguments: argparse.Namespace) -> Outcome:
    trial = Trial.prepare(config(seed, arguments), root=root)
    result = fit(trial, report=lambda record: None, checkpoint_dir=Folder(out / f"wsnet-{trial.trial_id}"))
    last = result.records[-1]
    return {"accuracy": 100 - last["test/top1_error"], "loss": last["train/loss"]}


def plain(seed: int, root: Path, arguments: argparse.Namespace) -> Outcome:
    torch.manual_seed(seed)
    torch.set_num_threads(arguments.threads)
    device = config(seed, arguments).execution.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    images = load(config(seed, arguments).data, root=root)
    normalize = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(images.mean, images.std)]
    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *normalize])
    train = DataLoader(Images(images.train, augment), batch_size=128, shuffle=True, drop_last=True, num_workers=1)
    test = DataLoader(Images(images.test, v2.Compose(normalize)), batch_size=500)
    model = PlainResNet(arguments.depth).to(device, memory_format=torch.channels_last)  # A fifth faster on CPUs.
    optimizer = torch.optim.SGD(model.parameters(), **RECIPE)
    steps = arguments.epochs * len(train)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for _ in range(arguments.epochs):
        model.train()
        losses = []
        for batch, labels in train:
            loss = F.cross_entropy(model(batch.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        hits = sum((model(batch.to(device)).argmax(1).cpu() == labels).sum().item() for batch, labels in test)
    return {"accuracy": 100 * hits / len(images.test), "loss": statistics.fmean(losses)}


class Images(Dataset[tuple[Tensor, int]]):
    """An image set as a torch Dataset."""

    def __init__(self, images: ImageSet, transform: v2.Compose) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.images.images[index].copy()).permute(2, 0, 1)
        return self.transform(image), int(self.images.labels[index])


class PlainBlock(nn.Module):
    """Two 3x3 convolutions, each with batch norm, and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1:
            norm = nn.BatchNorm2d(channels)
            self.shortcut = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), norm)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x channels x H/stride x W/stride."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class PlainResNet(nn.Module):
    """He et al. 2016, section 4.2: 6n + 2 layers, with shortcuts of option B."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        blocks, channels = [], 16
        for width in WIDTHS:
            for index in range((depth - 2) // 6):
                blocks.append(PlainBlock(channels, width, stride=2 if width > 16 and index == 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """N x 3 x 32 x 32 to N x 10."""
        logits: Tensor = self.fc(self.blocks(self.stem(x)).mean((2, 3)))
        return logits


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--depth", type=int, default=8, help="layers of the ResNet, 6n + 2 (default: 8)")
    parser.add_argument("--epochs", type=int, default=2, help="(default: 2)")
    parser.add_argument("--seeds", type=int, default=8, help="seeds of each, at least 4 for an interval (default: 8)")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals, at least (default: 0.95)")
    parser.add_argument("--limit", type=int, help="images of each split (default: all)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the training (default: 1)")
    parser.add_argument("--device", default="auto", help="(default: a GPU if there is one)")
    parser.add_argument("--out", type=Path, help="folder where finished runs are kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
