"""The efficiency of the training loop, as ratios of images per second.

    python benchmarks/loop_efficiency.py [--threads N] [--steps 4] [--rounds 25] [--data-root DIR]

Four ways to train a ResNet-20 on images of CIFAR-10's shape (batch 128, SGD with momentum, random crop and flip):

    wsnet     wsnet's own loop: Training, as `fit` runs it (data, augmentation, learning rate, meter)
    bare      forward, backward and step alone, on prepared batches; the same model, optimizer and memory format
    usual     in the style of torchvision's reference script: DataLoader with 2 workers, transforms on one PIL image
              at a time, contiguous memory, .item() for loss and accuracy at every step
    tuned     a plain loop by an experienced torch user: batched crop and flip, channels_last, foreach SGD, no .item()

Prints three ratios: wsnet / bare (bar: 0.97), wsnet / usual (bar: 1.35), wsnet / tuned. All run in this process and
take turns every few steps, so that other load on the machine affects them alike; the worker processes of the usual
script are stopped while it is not its turn. Each ratio is the median over the rounds, shown with its quartiles.
"""

import argparse
import itertools
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from made_up import made_up_images
from ratios import ratio
from torch import Tensor, nn
from torch.nn import functional as F

from wsnet.config import TrialConfig
from wsnet.data import DataError, ImageSplits, data_root, load
from wsnet.layers import initialize
from wsnet.models import build
from wsnet.training import Training, Trial
from wsnet.training.execution import applied
from wsnet.training.meter import Meter

BATCH = 128
BARS = {"bare": 0.97, "usual": 1.35, "tuned": None}
Steps = Generator[None, None, None]
"""Each `next` is one training step."""


def main() -> int:
    arguments = _arguments()
    config = _config(arguments.threads)
    images, source = _images(config, arguments.data_root)
    trial = Trial(config=config, images=images)
    with applied(config):
        contestants = {"wsnet": wsnet(trial), "bare": bare(trial), "usual": usual(trial), "tuned": tuned(trial)}
        rounds = measure(contestants, steps=arguments.steps, rounds=arguments.rounds)
    what = f"{arguments.rounds} rounds of {arguments.steps} steps of {BATCH} images"
    print(f"{source}; {arguments.threads} threads; {what}")
    return _print(rounds, arguments.steps)


def measure(contestants: dict[str, Steps], *, steps: int, rounds: int) -> list[dict[str, float]]:
    """Seconds of each contestant's steps in each round, in an order that rotates."""
    names = list(contestants)
    try:
        for name in names:  # The first steps start workers and choose kernels.
            _run(name, contestants[name], 6)
        found = []
        for number in range(rounds):
            first = number % len(names)
            found.append({name: _run(name, contestants[name], steps) for name in names[first:] + names[:first]})
        return found
    finally:
        _signal_workers(signal.SIGCONT)  # A stopped worker could not exit.


def wsnet(trial: Trial) -> Steps:
    """The steps of `Training`, in epochs of 20 steps, which overstates the costs per epoch (shuffling, the meter)."""
    training = Training(trial)
    step = 0
    for epoch in itertools.count(1):
        meter = Meter(training.device)
        training.model.train()
        for batch in itertools.islice(training.batches.epoch(epoch), 20):
            training.train_step(step, batch, meter)
            step += 1
            yield
        meter.read()


def bare(trial: Trial) -> Steps:
    """Forward, backward and step on prepared batches."""
    training = Training(trial)
    batches = list(itertools.islice(training.batches.epoch(1), 8))
    model, optimizer = training.model.train(), training.optimizer.base
    for batch in itertools.cycle(batches):
        loss = F.cross_entropy(model(batch.images), batch.labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield


def usual(trial: Trial) -> Steps:
    """Training as in torchvision's references/classification/train.py."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    images = trial.images
    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(images.mean, images.std),
        ]
    )

    class Images(Dataset[Any]):
        def __len__(self) -> int:
            return len(images.train)

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            return transform(Image.fromarray(images.train.images[index])), int(images.train.labels[index])

    loader = DataLoader(Images(), batch_size=BATCH, shuffle=True, num_workers=2, drop_last=True)
    model = _model(trial)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    loss_sum = accuracy_sum = 0.0
    while True:
        for inputs, labels in loader:
            logits = model(inputs)
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            _, guesses = logits.topk(5, 1)
            hits = guesses.eq(labels[:, None])
            loss_sum += loss.item()
            accuracy_sum += hits[:, :1].sum().item() + hits.sum().item()
            yield


def tuned(trial: Trial) -> Steps:
    """One Python thread and few kernels; loss and hits are accumulated on the device."""
    images = torch.from_numpy(np.ascontiguousarray(trial.images.train.images)).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.ascontiguousarray(trial.images.train.labels))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in (trial.images.mean, trial.images.std))
    model = _model(trial).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=True)
    measured = torch.zeros(2)
    while True:
        for chosen in torch.randperm(len(labels)).split(BATCH):
            if len(chosen) < BATCH:
                continue
            inputs = _cropped(images[chosen]).float().sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)
            logits = model(inputs)
            loss = F.cross_entropy(logits, labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                measured += torch.stack([loss, (logits.argmax(1) == labels[chosen]).sum()])
            yield


def _cropped(images: Tensor) -> Tensor:
    """Each image cropped and flipped at random, by one gather (B, C, 32, 32)."""
    size, padded = len(images), F.pad(images, (4, 4, 4, 4))
    row, column = torch.randint(9, (2, size, 1))
    rows, columns = row + torch.arange(32), column + torch.arange(32)
    columns = torch.where(torch.rand(size, 1) < 0.5, columns.flip(1), columns)
    batch = torch.arange(size)[:, None, None]
    return padded[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _model(trial: Trial) -> nn.Module:
    model = build(trial.config.model, classes=len(trial.images.classes), shape=trial.config.data.facts.shape)
    initialize(model, trial.config.seed)
    return model.train()


def _run(name: str, steps: Steps, count: int) -> float:
    """Seconds of some steps; worker processes run only during their own contestant's turn."""
    if name == "usual":
        _signal_workers(signal.SIGCONT)
    began = time.perf_counter()
    for _ in range(count):
        next(steps)
    seconds = time.perf_counter() - began
    _signal_workers(signal.SIGSTOP)
    return seconds


def _signal_workers(number: signal.Signals) -> None:
    for worker in multiprocessing.active_children():
        if worker.pid is not None:
            os.kill(worker.pid, number)


def _config(threads: int) -> TrialConfig:
    schedule = {"name": "cosine", "warmup_epochs": 1}
    sections = {
        "data": {"name": "cifar10", "augment": {"crop_padding": 4, "flip": True}},
        "model": {"name": "cifar_resnet", "depth": 20},
        "optim": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "schedule": schedule},
        "train": {"epochs": 100, "batch_size": BATCH, "drop_last": True},
        "execution": {"threads": threads, "device": "cpu", "memory_format": "channels_last"},
    }
    return TrialConfig.model_validate(sections)


def _images(config: TrialConfig, root: str | None) -> tuple[ImageSplits, str]:
    """CIFAR-10, or random images of its shape, which take the same time."""
    try:
        return load(config.data, root=data_root(root)), "CIFAR-10"
    except DataError:
        return made_up_images(config, 10_000), "random images"


def _print(rounds: list[dict[str, float]], steps: int) -> int:
    """Print the table; return 1 if a bar is missed."""
    missed = 0
    for name in ("wsnet", *BARS):
        print(f"{name:8}{steps * BATCH / statistics.median(seconds[name] for seconds in rounds):8.0f} images/s")
    for name, bar in BARS.items():
        low, median, high = statistics.quantiles(seconds[name] / seconds["wsnet"] for seconds in rounds)
        missed += bar is not None and median < bar
        wanted = "" if bar is None else f"bar {bar:.2f}  {'met' if median >= bar else 'MISSED'}"
        print(f"wsnet / {name:6} {median:5.3f}  ({low:.3f} to {high:.3f})  {wanted}".rstrip())
        ratio(f"images/s, wsnet / {name}", median, higher_is_better=True)
    return min(missed, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of every loop (default: 2)")
    parser.add_argument("--steps", type=int, default=4, help="steps per turn (default: 4)")
    parser.add_argument("--rounds", type=int, default=25, help="rounds, at least 2 (default: 25)")
    parser.add_argument("--data-root", help="folder of the image sets (default: $WSNET_DATA or ./data)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
