"""The cost of augmentation, as ratios of time.

    python benchmarks/augment.py [--threads N] [--rounds 15] [--data-root DIR]

Batches of 128 images of CIFAR-10's shape are made in two ways with the same augmentation:

    wsnet        whole batches in this process, as in training (`Batches`)
    torchvision  torchvision v2, image by image, in a DataLoader with 2 workers; mixup on whole batches

Prints two ratios for each kind of augmentation: torchvision / wsnet (bar: 10), and the share that augmentation adds to
a ResNet-20 step, after subtracting the time of batches that are only normalized (bar: below 5 %). All contestants take
turns every few batches, so that other load on the machine affects them alike; the workers are stopped while it is not
their turn. Each ratio is a ratio of medians over the rounds. torchvision has no cutout; a few lines per image do it, as
in the authors' code.
"""

import argparse
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from ratios import ratio
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from wsnet.config.architectures import CifarResNetConfig
from wsnet.config.augment import AugmentConfig
from wsnet.config.data import DataConfig
from wsnet.config.norm import BatchNormConfig
from wsnet.data import Batches, DataError, ImageSet, data_root, load
from wsnet.models import build

BATCH = 128
OURS, THEIRS = 24, 8
"""Batches per turn: about the same time for both, and longer than a time slice of the operating system."""
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CROP: dict[str, Any] = {"crop_padding": 4, "flip": True}
KINDS: dict[str, dict[str, Any]] = {
    "crop + flip": CROP,
    "+ cutout": CROP | {"cutout": {"size": 16}},
    "+ erasing": CROP | {"random_erasing": {}},
    "+ mixup": CROP | {"mixup": {}},
}
MORE: dict[str, dict[str, Any]] = {
    "+ cutmix": CROP | {"cutmix": {}},
    "+ RICAP": CROP | {"ricap": {}},
    "resized crop + flip + colours": {
        "random_resized_crop": {},
        "flip": True,
        "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 0.8},
        "greyscale": 0.2,
    },
}
SHARE_BAR, RATIO_BAR = 0.05, 10.0


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    images = _images(arguments.data_root)
    theirs = {name: torchvision_batches(images, name) for name in KINDS}
    ours = {name: wsnet_batches(images, augment) for name, augment in (KINDS | MORE).items()}
    plain, step = wsnet_batches(images, {}), resnet_steps(images)
    times: dict[str, list[float]] = {}
    try:
        for number in range(arguments.rounds + 1):  # The first round warms up.
            found = {"step": _seconds(step, 1), "plain": _seconds(plain, OURS)}
            found |= {f"wsnet {name}": _seconds(batches, OURS) for name, batches in ours.items()}
            found |= {f"torchvision {name}": _with_workers(*theirs[name]) for name in theirs}
            for name, seconds in found.items() if number else ():
                times.setdefault(name, []).append(seconds)
    finally:
        _signal([worker for _, loader in theirs.values() for worker in loader], signal.SIGCONT)
    return _print({name: statistics.median(seconds) for name, seconds in times.items()}, arguments)


def wsnet_batches(images: ImageSet, augment: dict[str, Any]) -> Iterator[Any]:
    """Batches as in training, epoch after epoch."""
    config = AugmentConfig.model_validate(augment)
    made = Batches(images, batch_size=BATCH, mean=MEAN, std=STD, augment=config, seed=0, drop_last=True, classes=10)
    epoch = 0
    while True:
        epoch += 1
        yield from made.epoch(epoch)


def torchvision_batches(images: ImageSet, name: str) -> tuple[Iterator[Any], list[int]]:
    """Batches made image by image in 2 workers, and the process ids of the workers."""
    changes: list[Any] = [
        v2.RandomCrop(32, padding=4),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
    ]
    changes.append(v2.Normalize(MEAN, STD))
    if name == "+ cutout":
        changes.append(_cutout)
    if name == "+ erasing":
        changes.append(v2.RandomErasing(p=0.5, scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3), value=0))
    transform = v2.Compose(changes)
    mixup = v2.MixUp(num_classes=10) if name == "+ mixup" else None

    class Images(Dataset[Any]):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            pixels = torch.from_numpy(images.images[index].copy()).permute(2, 0, 1)  # The memory map is read-only.
            return transform(pixels), int(images.labels[index])

    before = set(multiprocessing.active_children())
    loader = DataLoader(
        Images(), batch_size=BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
    first = iter(loader)
    workers = [child.pid for child in set(multiprocessing.active_children()) - before if child.pid is not None]
    _signal(workers, signal.SIGSTOP)

    def batches() -> Iterator[Any]:
        current = first
        while True:
            for batch in current:
                yield batch if mixup is None else mixup(*batch)
            current = iter(loader)

    return batches(), workers


def _cutout(image: Tensor) -> Tensor:
    row, column = torch.randint(32, (2,)).tolist()
    image[:, max(row - 8, 0) : row + 8, max(column - 8, 0) : column + 8] = 0
    return image


def resnet_steps(images: ImageSet) -> Iterator[None]:
    """Forward, backward and step of a ResNet-20 on a prepared batch."""
    config = CifarResNetConfig(name="cifar_resnet", depth=20, norm=BatchNormConfig(name="batch"))
    model = build(config, classes=10, shape=(3, 32, 32)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batch = next(wsnet_batches(images, {}))
    while True:
        F.cross_entropy(model(batch.images), batch.labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield


def _seconds(batches: Iterator[Any], count: int) -> float:
    """Seconds of one batch."""
    began = time.perf_counter()
    for _ in range(count):
        next(batches)
    return (time.perf_counter() - began) / count


def _with_workers(batches: Iterator[Any], workers: list[int]) -> float:
    """Seconds of one batch from workers that were stopped; the batches they had prefetched are consumed first."""
    _signal(workers, signal.SIGCONT)
    for _ in range(4):  # prefetch_factor 2, times 2 workers
        next(batches)
    seconds = _seconds(batches, THEIRS)
    _signal(workers, signal.SIGSTOP)
    return seconds


def _signal(workers: list[int], number: signal.Signals) -> None:
    for worker in workers:
        os.kill(worker, number)


def _print(medians: dict[str, float], arguments: argparse.Namespace) -> int:
    """Print the table; return 1 if a bar is missed."""
    missed = 0
    step, plain = medians["step"], medians["plain"]
    print(f"medians of {arguments.rounds} rounds, {arguments.threads} threads; batches of {BATCH} images")
    print(f"step of ResNet-20 {1e3 * step:.1f} ms; a batch that is only normalized {1e3 * plain:.2f} ms")
    for name in KINDS | MORE:
        ours, theirs = medians[f"wsnet {name}"], medians.get(f"torchvision {name}")
        share = (ours - plain) / step
        text = f"{name:30}{1e3 * ours:6.2f} ms   {100 * share:4.1f} % of a step"
        met = share < SHARE_BAR
        if theirs is not None:
            text += f"   torchvision {1e3 * theirs:6.2f} ms   ratio {theirs / ours:5.1f}"
            met &= theirs / ours >= RATIO_BAR
            ratio(f"{name}: torchvision / wsnet", theirs / ours, higher_is_better=True)
        missed += not met
        print(text + ("" if met else "   MISSED"))
    print(f"bars: ratio {RATIO_BAR:.0f}, share below {100 * SHARE_BAR:.0f} %")
    return min(missed, 1)


def _images(root: str | None) -> ImageSet:
    """CIFAR-10, or random images of its shape, which take the same time."""
    try:
        return load(DataConfig(name="cifar10"), root=data_root(root)).train
    except DataError:
        generator = np.random.default_rng(0)
        pixels = generator.integers(0, 256, (10_000, 32, 32, 3), dtype=np.uint8)
        return ImageSet(pixels, generator.integers(0, 10, len(pixels)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of this process (default: 1)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, at least 1 (default: 15)")
    parser.add_argument("--data-root", help="folder of the image sets (default: $WSNET_DATA or ./data)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
