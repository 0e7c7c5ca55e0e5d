"""Sweeps whose trials compute nothing, and processes that are measured: what the benchmarks of scale share."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["GIB", "NOTHING", "ROOT", "NoTraining", "Usage", "asked_for", "child", "sleeping", "usage", "write_sweep"]

ROOT = Path(__file__).parents[1]
GIB = 2**30
NOTHING = {"train/loss": 1.0, "validation/top1_error": 50.0, "test/top1_error": 50.0, "time/epoch_seconds": 0.001}
"""What a trial that computes nothing records in each epoch."""


@dataclass(frozen=True)
class Usage:
    """What a process has used: seconds, seconds of CPU, bytes of memory at most; and what it printed."""

    seconds: float
    cpu: float
    memory: int
    text: str


def child(script: str, **options: Any) -> dict[str, Any]:
    """Run a benchmark with `--child OPTIONS`, in a process of its own (see `asked_for`).

    Returns:
        What it printed as its last line of JSON, with its `memory` in bytes.
    """
    used = usage([sys.executable, script, "--child", json.dumps(options)])
    told = next((line for line in reversed(used.text.splitlines()) if line.startswith("{")), None)
    if told is None:
        sys.exit(used.text[-3000:])
    return {**json.loads(told), "memory": used.memory}


def asked_for() -> dict[str, Any] | None:
    """The options, if this process is a `child`."""
    options: dict[str, Any] | None = json.loads(sys.argv[2]) if sys.argv[1:2] == ["--child"] else None
    return options


def usage(command: list[str]) -> Usage:
    """Run a command in the checkout, and measure it (without the processes that it leaves to Ray)."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'benchmarks'}"}  # For Ray's processes, too.
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode().strip()
    if process.returncode not in (0, 2):
        sys.exit(text[-3000:])
    return Usage(seconds, used.ru_utime + used.ru_stime, 1024 * used.ru_maxrss, text)


def write_sweep(folder: Path, *, settings: int, epochs: Sequence[int] = (1,)) -> Path:
    """Write a sweep file over norms, batch sizes and learning rates; with fewer than 20 settings, over rates only.

    Each setting is there with each of the numbers of epochs: first all with the first number, then all with the next.
    """
    axes: dict[str, Any] = {"optim.lr": [round(0.0001 * (1 + index), 6) for index in range(settings)]}
    if settings >= 20:
        norms = [{"name": "batch"}, {"name": "group", "groups": 4}, {"name": "layer"}, {"name": "instance"}]
        rates = axes["optim.lr"][: min(1000, settings // 20)]
        decays = [0.0001 * index for index in range(settings // 20 // len(rates))]
        axes = {"model.norm": [*norms, {"name": "online"}], "train.batch_size": [8, 16, 32, 64]}
        axes |= {"optim.weight_decay": decays, "optim.lr": rates}
    axes = {"train.epochs": list(epochs), **axes}
    base = {
        "data": {"name": "digits", "validation": 100},
        "model": {"name": "cifar_resnet", "depth": 8, "width": 4},
        "optim": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "train": {"epochs": 1, "batch_size": 64, "keep": "none"},
    }
    file = folder / f"scale{settings}.yaml"
    file.write_text(json.dumps({"name": "scale", "base": base, "grid": axes, "seeds": 1}))  # JSON is YAML.
    return file


class NoTraining:
    """In place of `wsnet.training.loop.Training`: an epoch without model and data, which takes so many seconds."""

    seconds = 0.0

    def __init__(self, trial: Any, start: Any = None) -> None:
        self.config, self.epoch, self._began = trial.config, 0, time.time()

    def checkpoint(self, records: Any) -> Any:
        """The smallest checkpoint."""
        from wsnet.training.checkpoint import Checkpoint

        return Checkpoint(trial_id="", epoch=self.epoch, model={}, optimizer={}, records=records)

    def train_epoch(self, watch: Any = None, save: Any = None) -> dict[str, float]:
        """The record of an epoch."""
        time.sleep(self.seconds)
        self.epoch += 1
        clock = {"slot": os.getpid(), "began": self._began, "at": time.time(), "cpu": time.process_time()}
        return {"epoch": self.epoch, "lr": 0.1, **NOTHING, **clock}


def sleeping(seconds: float) -> Callable[..., None]:
    """The Tune function of a trial, in a process in which an epoch computes nothing and takes so many seconds."""

    def no_work(config: dict[str, Any], *, context: Any) -> None:
        import wsnet.training  # noqa: F401
        from wsnet.sweep.trials.trainable import train_job

        NoTraining.seconds = seconds
        sys.modules["wsnet.training.fit"].Training = NoTraining  # type: ignore[attr-defined]
        train_job(config, context=context)

    return no_work
