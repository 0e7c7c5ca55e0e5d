"""Accuracy in bfloat16 beside float32: a small ResNet with batch norm on CIFAR-10, the same seeds.

    python benchmarks/precision.py [--data-root DIR] [--depth 8] [--epochs 3] [--seeds 3] [--limit 2560] [--threads 1]

The recipe of accuracy.py, trained by `fit` with `train.precision` float32 and bfloat16. The two have the same initial
weights, images and augmentation. Prints each run as it ends, then the medians and the differences, seed by seed, of the
test accuracy after the last epoch and of the mean training loss of the last epoch. Without AVX512-bf16 or AMX,
bfloat16 takes several times as long.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from accuracy import Outcome, config

from wsnet.data.cache import data_root
from wsnet.storage import Folder
from wsnet.training import Trial, fit

PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    arguments = _arguments()
    found: dict[str, list[Outcome]] = {precision: [] for precision in PRECISIONS}
    with tempfile.TemporaryDirectory() as out:
        for seed in range(arguments.seeds):
            for precision, outcomes in found.items():
                outcomes.append(trained(seed, precision, arguments, Folder(Path(out) / f"{precision}-{seed}")))
                told = ", ".join(f"{name} {value:.4f}" for name, value in outcomes[-1].items())
                print(f"{precision:8}  seed {seed}  {told}", flush=True)
    for quantity in ("accuracy", "loss"):
        exact, rounded = ([run[quantity] for run in found[precision]] for precision in PRECISIONS)
        differences = ", ".join(f"{after - before:+.4f}" for before, after in zip(exact, rounded, strict=True))
        medians = f"median float32 {statistics.median(exact):.4f}, bfloat16 {statistics.median(rounded):.4f}"
        print(f"{quantity:8}  {medians}; bfloat16 - float32 by seed: {differences}")


def trained(seed: int, precision: str, arguments: argparse.Namespace, folder: Folder) -> Outcome:
    """Test accuracy in percent after the last epoch, and mean training loss of the last epoch."""
    made = config(seed, arguments)
    made = made.model_copy(update={"train": made.train.model_copy(update={"precision": precision})})
    trial = Trial.prepare(made, root=arguments.data_root or data_root())
    last = fit(trial, report=lambda record: None, checkpoint_dir=folder).records[-1]
    return {"accuracy": 100 - last["test/top1_error"], "loss": last["train/loss"]}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--depth", type=int, default=8, help="layers of the ResNet, 6n + 2 (default: 8)")
    parser.add_argument("--epochs", type=int, default=3, help="(default: 3)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--limit", type=int, default=2560, help="images of each split (default: 2560)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--device", default="cpu", help="(default: cpu)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
