"""Accuracy beside a plain PyTorch script: ResNet-20 on CIFAR-10 with batch norm, the same recipe and seeds.

    python benchmarks/accuracy.py [--data-root DIR] [--epochs N] [--seeds N] [--limit N] [--threads N] [--out DIR]

Batch 128, SGD 0.1 constant, momentum 0.9, weight decay 2e-4, crop with padding 4 and flip; test accuracy after each
epoch. The plain script is what people write: torchvision's transforms image by image, torch's DataLoader and its own
shuffling, a ResNet-20 of its own. Prints each run as it ends, and the medians over the seeds. Exit status 1 where
wsnet's median is below the plain script's. With --out, what is done is kept, and the same command goes on.
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
from wsnet.data.location import data_root
from wsnet.storage import Folder
from wsnet.training import Trial, fit

RECIPE = {"lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4}


def main() -> int:
    arguments = _arguments()
    root = arguments.data_root or data_root()
    out = arguments.out or Path(tempfile.mkdtemp())
    runs: dict[str, Callable[[int], list[float]]] = {
        "plain script": lambda seed: plain(seed, root, arguments),
        "wsnet": lambda seed: ours(seed, root, out, arguments),
    }
    found: dict[str, list[list[float]]] = {name: [] for name in runs}
    for seed in range(arguments.seeds):
        for name, run in runs.items():
            file = out / f"{name.replace(' ', '_')}-{seed}-{arguments.epochs}-{arguments.limit}.json"
            if not file.exists():
                accuracies = run(seed)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(accuracies))
            found[name].append(json.loads(file.read_text()))
            print(f"{name:<13} seed {seed}  " + "  ".join(f"{value:.2f}" for value in found[name][-1]), flush=True)
    medians = {name: [statistics.median(values) for values in zip(*of, strict=True)] for name, of in found.items()}
    for name, values in medians.items():
        print(f"{name:<13} median  " + "  ".join(f"{value:.2f}" for value in values))
    return 0 if medians["wsnet"][-1] >= medians["plain script"][-1] else 1


def config(seed: int, arguments: argparse.Namespace) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "data": {"name": "cifar10", "limit": arguments.limit, "augment": {"crop_padding": 4, "flip": True}},
            "model": {"name": "cifar_resnet", "depth": 20},
            "optim": {"name": "sgd", **RECIPE},
            "train": {"epochs": arguments.epochs, "batch_size": 128, "drop_last": True},
            "execution": {"threads": arguments.threads, "device": arguments.device},
            "seed": seed,
        }
    )


def ours(seed: int, root: Path, out: Path, arguments: argparse.Namespace) -> list[float]:
    trial = Trial.prepare(config(seed, arguments), root=root)
    result = fit(trial, report=lambda record: None, checkpoint_dir=Folder(out / f"wsnet-{trial.trial_id}"))
    return [100 - record["test/top1_error"] for record in result.records]


def plain(seed: int, root: Path, arguments: argparse.Namespace) -> list[float]:
    torch.manual_seed(seed)
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if arguments.device == "auto" and torch.cuda.is_available() else "cpu")
    images = load(config(seed, arguments).data, root=root)
    normalize = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(images.mean, images.std)]
    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *normalize])
    train = DataLoader(Images(images.train, augment), batch_size=128, shuffle=True, drop_last=True, num_workers=1)
    test = DataLoader(Images(images.test, v2.Compose(normalize)), batch_size=500)
    model = PlainResNet20().to(device)
    optimizer = torch.optim.SGD(model.parameters(), **RECIPE)
    accuracies = []
    for _ in range(arguments.epochs):
        model.train()
        for batch, labels in train:
            loss = F.cross_entropy(model(batch.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            hits = sum((model(batch.to(device)).argmax(1).cpu() == labels).sum().item() for batch, labels in test)
        accuracies.append(100 * hits / len(images.test))
    return accuracies


class Images(Dataset[tuple[Tensor, int]]):
    """An image set as torch's DataLoader takes it."""

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
        """N x C x H x W to the same, or to half the size."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class PlainResNet20(nn.Module):
    """He et al. 2016, section 4.2, with shortcuts of option B."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        widths = [(16, 16, 1), (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1)]
        self.blocks = nn.Sequential(*(PlainBlock(*w) for w in [*widths, (32, 64, 2), (64, 64, 1), (64, 64, 1)]))
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
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
