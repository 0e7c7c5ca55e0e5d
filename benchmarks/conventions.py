"""How much each convention of docs/trust.md changes the test error: one way and the other, on the same seeds.

    python benchmarks/conventions.py [--seeds N] [--only NAME ...] [--data-root DIR]

ResNet-8 of width 8 on the digits (Adam 0.005 with cosine annealing unless a row differs), one thread; padding uses
2,000 images of CIFAR-10, if they are found. Prints the median test top-1 error each way, the median, lowest and highest
of the per-seed differences, in points, and the spread over the seeds of the first way.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from wsnet.config import TrialConfig
from wsnet.config.reading.located import Located
from wsnet.data import DataError
from wsnet.data.cache import data_root
from wsnet.data.crop_flip import CropFlip
from wsnet.layers import LayerRandomness
from wsnet.storage import Folder
from wsnet.training import Result, Trial, fit
from wsnet.training.checkpoint import Checkpoint
from wsnet.training.loop import Training

BASE: dict[str, Any] = {
    "data": {"name": "digits", "augment": {"crop_padding": 1}},
    "model": {"name": "cifar_resnet", "depth": 8, "width": 8},
    "optim": {"name": "adam", "lr": 0.005, "schedule": {"name": "cosine"}},
    "train": {"epochs": 5, "batch_size": 64, "drop_last": True},
    "execution": {"device": "cpu", "threads": 1},
}
RECOMPUTED = {"train.evaluation_statistics.name": "recomputed"}
CONSTANT = {"optim.schedule.name": "constant"}
SGD = {"optim": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": {"name": "constant"}}}
GROUP = {"model.norm": {"name": "group", "groups": 4}}
Pair = tuple[float, float]


def trial(seed: int, options: dict[str, Any], root: Path | None = None) -> Trial:
    changes = {key: Located.of(value, "") for key, value in {**options, "seed": seed}.items()}
    data = Located.of(BASE, "").merged(changes).plain()
    return Trial.prepare(TrialConfig.model_validate(data), root=root)


def train(of: Trial) -> tuple[Result, Checkpoint]:
    with tempfile.TemporaryDirectory() as folder:
        result = fit(of, report=lambda record: None, checkpoint_dir=Folder(folder))
        return result, Checkpoint.load(Path(folder) / "last.pt")


def error(seed: int, options: dict[str, Any], root: Path | None = None) -> float:
    return train(trial(seed, options, root))[0].records[-1]["test/top1_error"]


def either(one: dict[str, Any], other: dict[str, Any]) -> Callable[[int, Path], Pair]:
    """Trains both configurations."""
    return lambda seed, root: (error(seed, one), error(seed, other))


def averaged_weights(seed: int, root: Path) -> Pair:
    """The average of the weights, evaluated with the running statistics of the weights and with its own."""
    of = trial(seed, {**SGD, "train.ema": {"decay": 0.95}})
    result, checkpoint = train(of)
    return evaluated(of, {**checkpoint.model, **checkpoint.ema}), result.records[-1]["test_ema/top1_error"]


def biased_variance(seed: int, root: Path) -> Pair:
    """torch's unbiased variance in the running statistics, and the biased one that a batch is normalized by."""
    of = trial(seed, {"train.batch_size": 1})
    result, checkpoint = train(of)
    training = Training(of)
    sizes: dict[str, int] = {}
    for name, module in training.model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda m, i, o, n=name: sizes.update({n: i[0].shape[2] * i[0].shape[3]}))
    training.model.eval()(torch.zeros(1, *of.config.data.facts.shape))
    changed = dict(checkpoint.model)
    for name, n in sizes.items():
        changed[f"{name}.running_var"] = checkpoint.model[f"{name}.running_var"] * (n - 1) / n
    return result.records[-1]["test/top1_error"], evaluated(of, changed)


def best_epoch(options: dict[str, Any]) -> Callable[[int, Path], Pair]:
    """The last epoch, and the one with the lowest test error, which selects on the test set."""

    def measure(seed: int, root: Path) -> Pair:
        errors = [record["test/top1_error"] for record in train(trial(seed, options))[0].records]
        return errors[-1], min(errors)

    return measure


def dropout_masks(seed: int, root: Path) -> Pair:
    """The same seed with other dropout masks; everything else is identical to the bit."""
    options = {"model": {"name": "wrn", "depth": 10, "widening": 1, "dropout": 0.3}}
    one = error(seed, options)
    with mock.patch("wsnet.training.loop.LayerRandomness", lambda model, seed: LayerRandomness(model, seed + 10_000)):
        return one, error(seed, options)


def padding(seed: int, root: Path) -> Pair:
    """Crops padded with black (0 before normalization), and with the mean colour (0 after it)."""
    options: dict[str, Any] = {
        "data": {"name": "cifar10", "limit": 2000, "augment": {"crop_padding": 4, "flip": True}},
        "model": {"name": "cifar_resnet", "depth": 8},
        "optim": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": {"name": "cosine"}},
        "train.epochs": 8,
    }
    black = error(seed, options, root)
    mean = torch.tensor(trial(seed, options, root).images.mean)
    with padded_with((mean * 255).round().to(torch.uint8)):
        return black, error(seed, options, root)


@contextmanager
def padded_with(colour: Tensor) -> Iterator[None]:
    """Bytes wrap round: (image - colour), padded with 0, + colour is the image padded with the colour."""
    plain = CropFlip.__call__
    with mock.patch.object(CropFlip, "__call__", lambda self, images, v: plain(self, images - colour, v) + colour):
        yield


def evaluated(of: Trial, state: dict[str, Tensor]) -> float:
    training = Training(of)
    training.model.load_state_dict(state)
    return training.evaluation.measure(training.epoch)["test"].top1_error


def left_over() -> Callable[[int, Path], Pair]:
    """A last batch of one image, and none: 1,473 = 23 x 64 + 1 images."""
    options = {**GROUP, "data.limit": 1473, "train.batch_size": 64}
    return either({**options, "train.drop_last": False}, options)


DECAY = {**SGD, "optim.schedule.name": "cosine", "optim.weight_decay": 5e-4, "train.epochs": 15}
ROWS: dict[str, tuple[str, str, Callable[[int, Path], Pair]]] = {
    "statistics-1": ("running", "recomputed", either({"train.batch_size": 1}, {"train.batch_size": 1, **RECOMPUTED})),
    "statistics-8": ("running", "recomputed", either({"train.batch_size": 8}, {"train.batch_size": 8, **RECOMPUTED})),
    "statistics-64": ("running", "recomputed", either({}, RECOMPUTED)),
    "statistics-64-constant-rate": ("running", "recomputed", either(CONSTANT, {**CONSTANT, **RECOMPUTED})),
    "averaged-weights": ("running, of the weights", "recomputed", averaged_weights),
    "variance-1": ("unbiased", "biased", biased_variance),
    "last-batch": ("1 image left over", "left out", left_over()),
    "epoch-constant-rate": ("last", "best on test", best_epoch({**CONSTANT, "train.epochs": 10})),
    "epoch-cosine": ("last", "best on test", best_epoch({"train.epochs": 10})),
    "decay": ("all", "weights", either(DECAY, {**DECAY, "optim.weight_decay_on": "weights"})),
    "dropout": ("masks", "other masks", dropout_masks),
    "padding": ("black", "mean colour", padding),
}


def main() -> None:
    arguments = _arguments()
    root = arguments.data_root or data_root()
    torch.set_num_threads(1)
    print(f"{'':<28} {'one way':>24} {'the other':>24} {'difference [low, high]':>26}  spread over seeds")
    for name in arguments.only or ROWS:
        one, other, measure = ROWS[name]
        try:
            pairs = [measure(seed, root) for seed in range(arguments.seeds)]
        except DataError as reason:
            print(f"{name:<28} left out: {str(reason).splitlines()[0]}")
            continue
        firsts, seconds = zip(*pairs, strict=True)
        differences = [second - first for first, second in pairs]
        ways = [f"{way} {statistics.median(values):.2f}" for way, values in ((one, firsts), (other, seconds))]
        moved = f"{statistics.median(differences):+.2f} [{min(differences):+.2f}, {max(differences):+.2f}]"
        print(f"{name:<28} {ways[0]:>24} {ways[1]:>24} {moved:>26}  {max(firsts) - min(firsts):.2f}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), metavar="NAME")
    parser.add_argument("--data-root", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
