"""Sweeps on disk as run_sweep.py leaves them, with every way in which a trial can end."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsnet.storage import Folder, Manifest, Status, TrialEntry, trial_directory
from wsnet.storage.trial_directory import Record

__all__ = ["BATCH_SIZES", "manifest", "train", "write_sweep"]

BATCH_SIZES = [32, 2, 4]
_CASES = {
    "bn": {"model.norm.name": "batch"},
    "gn": {"model.norm.name": "group", "model.norm.groups": 16, "model.weight": None},
    "on": {"model.norm.name": "online", "model.weight": "standardized", "optim.milestones": [30, 60]},
}
_YAML = """\
data: {{name: digits, augment: {{crop_padding: 4, flip: true}}}}
model: {{name: mlp, norm: {{name: {case}, momentum: 0.1}}, weight: null}}
optim: {{lr: 1e-3, milestones: [30, 60]}}
train: {{epochs: 3, batch_size: {batch}}}
seed: {seed}
"""


def manifest(
    *,
    name: str = "batches",
    seeds: int = 3,
    rows: tuple[str, ...] = ("model.norm.name",),
    metric: str = "test/top1_error",
    rates: tuple[float, ...] = (1e-3,),
    batch_sizes: Sequence[int] = BATCH_SIZES,
) -> Manifest:
    """Three norms at three batch sizes; with several learning rates, a sweep that chooses among them."""
    trials = [
        TrialEntry(
            trial_id=f"{(index * 7919 + batch + 64 * number) % 4096:03x}-{seed}",
            setting_id=f"{(index * 7919 + batch + 64 * number) % 4096:03x}",
            seed=seed,
            name=f"{case}-b{batch}{f'-lr{rate}' if number else ''}-s{seed}",
            axes={**axes, "train.batch_size": batch, "optim.lr": rate},
            epochs=3,
        )
        for index, (case, axes) in enumerate(_CASES.items())
        for batch in batch_sizes
        for number, rate in enumerate(rates)
        for seed in range(seeds)
    ]
    report: dict[str, Any] = {
        "rows": list(rows),
        "columns": "train.batch_size",
        "metric": metric,
        "statistic": "median",
    }
    if len(rates) > 1:
        settings = len({trial.setting_id for trial in trials})
        report["select"] = {"over": ["optim.lr"], "by": "validation/top1_error", "settings": settings}
    return Manifest(
        name=name,
        question="Which norm | holds when the batch gets small?",
        report=report,
        axes=[
            "model.norm.name", "model.norm.groups", "model.weight", "optim.milestones", "train.batch_size", "optim.lr"
        ],
        trials=trials,
    )  # fmt: skip


def train(folder: Folder, entry: TrialEntry, status: str = "finished", epochs: int = 3) -> None:
    """Write what a training of so many epochs would leave."""
    directory = trial_directory(folder, entry.trial_id)
    case, batch = entry.name.split("-")[0], entry.axes["train.batch_size"]
    directory.folder.write("trial.yaml", _YAML.format(case=case, batch=batch, seed=entry.seed).encode())
    directory.write_records(
        [_record(entry, epoch, status == "diverged" and epoch == epochs) for epoch in range(1, epochs + 1)]
    )
    directory.write_status(Status(status=status, epoch=epochs, message="for a person" if status == "failed" else ""))  # type: ignore[arg-type]


def write_sweep(path: Path, sweep: Manifest | None = None) -> tuple[Folder, Manifest]:
    """A sweep in which trials have finished, diverged, been stopped, crashed, are under way and have not started."""
    folder, sweep = Folder(path / "a sweep 100%"), sweep or manifest()
    sweep.write(folder)
    for entry in sweep.trials:
        case, batch = entry.name.split("-")[0], entry.axes["train.batch_size"]
        if (case, batch) == ("bn", 2):
            train(folder, entry, "diverged", 2) if entry.seed else train(folder, entry)
        elif (case, batch) == ("bn", 4):
            train(folder, entry, "diverged", 1) if entry.seed == 1 else train(folder, entry)
        elif (case, batch) == ("gn", 2):
            train(folder, entry, "stopped", 1)
        elif (case, batch) == ("gn", 32):
            train(folder, entry, ("failed", "running", "finished")[entry.seed % 3], (2, 1, 3)[entry.seed % 3])
        elif (case, batch) == ("gn", 4):
            train(folder, entry, "failed", 0)
        elif (case, batch) != ("on", 32):
            train(folder, entry)
    return folder, sweep


def _record(entry: TrialEntry, epoch: int, diverged: bool) -> Record:
    error = 100 / 3 / epoch + 1 / entry.axes["train.batch_size"] + math.sin(7 * entry.seed) + len(entry.axes)
    rate = math.log10(entry.axes["optim.lr"] / 1e-3)  # Good for validation images, bad for test images.
    record: Record = {
        "epoch": epoch,
        "lr": 1e-3 / 3,
        "train/loss": math.nan if diverged else error / 31,
        "validation/top1_error": math.nan if diverged else error - 1 - rate,
        "time/epoch_seconds": 1.5,
        "time/images_per_second": 1000.123,
    }
    if epoch != 2:  # Not every epoch needs to be tested.
        record["test/top1_error"] = error + rate
    return record
