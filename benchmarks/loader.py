"""The loader for streamed sets compared with plain ImageFolder and torchvision, as a ratio of images per second.

    python benchmarks/loader.py [--workers 2] [--steps 4] [--rounds 15] [--images 512] [--folder DIR]

Both load training batches of 128 images, 224 pixels, from the same folder of JPEGs with the same number of workers:

    wsnet     Batches: decoded, cropped and resized as bytes, normalized by the training process
    plain     ImageFolder, RandomResizedCrop, RandomHorizontalFlip, ToTensor, Normalize on one PIL image at a time,
              as in torchvision's reference script; DataLoader(shuffle=True)

Without --folder the images are synthetic: smooth, with noise, of ImageNet's size distribution (about 500 x 375 with a
spread, some upright, a few large; JPEG quality 90, 120 kB each on average). Both run in this process and take turns
every few steps. Workers are stopped while it is not their turn, and the batches they had prefetched are consumed first.
The ratio is the median over the rounds, shown with its quartiles.
"""

import argparse
import itertools
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from ratios import ratio
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from wsnet.config.data import AugmentConfig
from wsnet.config.reading.own_files import data_config
from wsnet.data import Batches, ImageFiles, load

BATCH, CLASSES = 128, 8
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Steps = Iterator[object]


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["WSNET_CACHE"] = scratch
        folder = Path(arguments.folder) if arguments.folder else make_up(Path(scratch) / "images", arguments.images)
        what = f"{arguments.rounds} rounds of {arguments.steps} batches of {BATCH}, {arguments.workers} workers"
        print(f"{'synthetic JPEGs' if not arguments.folder else folder}; {what}")
        contestants = {"wsnet": wsnet(folder, arguments.workers), "plain": plain(folder, arguments.workers)}
        rounds = measure(contestants, steps=arguments.steps, rounds=arguments.rounds)
    for name in contestants:
        rate = arguments.steps * BATCH / statistics.median(seconds[name] for seconds in rounds)
        print(f"{name:8}{rate:8.0f} images/s")
    low, median, high = statistics.quantiles(seconds["plain"] / seconds["wsnet"] for seconds in rounds)
    print(f"wsnet / plain  {median:5.3f}  ({low:.3f} to {high:.3f})")
    ratio("images/s, wsnet / plain", median, higher_is_better=True)
    return 0


def wsnet(folder: Path, workers: int) -> Steps:
    """Batches of a training, epoch after epoch."""
    images = load(data_config(name="folder", path=str(folder), stream=True))
    assert isinstance(images.train, ImageFiles)
    augment = AugmentConfig(flip=True)
    options = {"mean": MEAN, "std": STD, "augment": augment, "seed": 0, "drop_last": True, "loader_processes": workers}
    batches = Batches(images.train, batch_size=BATCH, **options)
    for epoch in itertools.count(1):
        yield from batches.epoch(epoch)


def plain(folder: Path, workers: int) -> Steps:
    """Batches as in torchvision's references/classification/train.py."""
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    images = datasets.ImageFolder(str(folder / "train"), transform)
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    loader = DataLoader(images, batch_size=BATCH, shuffle=True, drop_last=True, **options)
    while True:
        yield from loader


def measure(contestants: dict[str, Steps], *, steps: int, rounds: int) -> list[dict[str, float]]:
    """Seconds of each contestant's steps in each round; the one that goes first alternates."""
    workers: dict[str, list[int]] = {}
    for name, made in contestants.items():  # The first step starts the workers.
        before = set(_children())
        next(made)
        workers[name] = [pid for pid in _children() if pid not in before]
        _signal(workers[name], signal.SIGSTOP)
    try:
        found = []
        for number in range(rounds):
            names = list(contestants) if number % 2 else list(contestants)[::-1]
            found.append({name: _turn(contestants[name], workers[name], steps) for name in names})
        return found
    finally:
        for stopped in workers.values():
            _signal(stopped, signal.SIGCONT)  # A stopped worker could not exit.


def _turn(made: Steps, workers: list[int], steps: int) -> float:
    """Seconds of some steps, after consuming the batches that the workers may have prefetched (two each)."""
    _signal(workers, signal.SIGCONT)
    for _ in range(2 * len(workers)):
        next(made)
    began = time.perf_counter()
    for _ in range(steps):
        next(made)
    seconds = time.perf_counter() - began
    _signal(workers, signal.SIGSTOP)
    return seconds


def make_up(folder: Path, count: int) -> Path:
    """Write train/ with `count` images and val/ with one per class."""
    generator = np.random.default_rng(0)
    for split, images in (("train", count), ("val", CLASSES)):
        for number in range(images):
            place = folder / split / f"n{number % CLASSES:08}"
            place.mkdir(parents=True, exist_ok=True)
            _picture(generator).save(place / f"{number:06}.JPEG", "JPEG", quality=90)
    return folder


def _picture(generator: np.random.Generator) -> Image.Image:
    kind = generator.random()
    width, height = (500, int(generator.normal(375, 40))) if kind < 0.75 else (int(generator.normal(375, 40)), 500)
    if kind > 0.95:  # ImageNet's mean size is about 500 x 400, with a tail of photographs of several megapixels.
        scale = generator.uniform(1.5, 4)
        width, height = int(width * scale), int(height * scale)
    small = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    noisy = smooth + generator.normal(0, 8, (*smooth.shape[:2], 1)).astype(np.float32)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _children() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="DataLoader workers for each (default: 2)")
    parser.add_argument("--steps", type=int, default=4, help="batches per turn (default: 4)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, at least 2 (default: 15)")
    parser.add_argument("--images", type=int, default=512, help="synthetic training images (default: 512)")
    parser.add_argument("--folder", help="a folder with train/<class>/* and val/<class>/* instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
