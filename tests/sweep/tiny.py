"""Sweeps that take seconds: scikit-learn's digits, an 8-layer network of width 4, a few steps."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from wsnet.config import read_sweep, read_trial
from wsnet.storage import Folder, Status, TrialDirectory, trial_directory
from wsnet.storage.trial_directory import Record
from wsnet.sweep.planning.plan import Plan, make_plan
from wsnet.sweep.run import SweepOutcome, run
from wsnet.training import Trial, fit

__all__ = [
    "ON_TWO_WORKERS",
    "ROOT",
    "Ran",
    "alone",
    "command",
    "environment",
    "kill",
    "processes",
    "records",
    "train",
    "until",
    "write",
    "writers",
]

ROOT = Path(__file__).parents[2]
_TINY: dict[str, Any] = {
    "name": "tiny",
    "question": "Does it [run]?",
    "base": {
        "data": {"name": "digits", "validation": 100, "limit": 100},
        "model": {"name": "cifar_resnet", "depth": 8, "width": 4},
        "optim": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
        "train": {"epochs": 2, "batch_size": 8, "steps_per_epoch": 2},
    },
}
# Four downsamplings take an 8x8 digit to 1x1, where batch norm has nothing to normalize a single image with.
_FAILING = {"model": {"name": "resnet", "depth": 18, "stem": "imagenet"}, "train.batch_size": 2}
_GROUP = {"model.norm.name": "group", "model.norm.groups": 2}

ON_TWO_WORKERS: dict[str, Any] = {
    "cases": [_FAILING, {**_GROUP, "optim.lr": 0.1}, {**_GROUP, "optim.lr": 0.05}],
    "train": {"epochs": 4, "steps_per_epoch": 6},
    "resources": {"workers": 2, "max_failures": 0},
}
"""Changes (see `write`) for a trial that fails and two that finish, on two workers each."""


def write(folder: Path, *, train: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write a tiny sweep file; `train` updates base.train, the other keywords replace keys of the file.

    One trial runs at a time, on one CPU, unless `resources` says otherwise: a second process takes longer to start than
    all trials take.
    """
    base = {**_TINY["base"], "train": {**_TINY["base"]["train"], **(train or {})}}
    resources = {"max_concurrent": 1, "cpus_per_worker": 1, **changes.pop("resources", {})}
    path = folder / "tiny.yaml"
    path.write_text(json.dumps({**_TINY, "base": base, "resources": resources, **changes}))  # JSON is YAML.
    return path


class Ran:
    """A sweep that has been run in this process, on the Ray that the tests share."""

    def __init__(self, plan: Plan, outcome: SweepOutcome, folder: Folder, printed: str) -> None:
        self.plan, self.outcome, self.folder, self.printed = plan, outcome, folder, printed
        self.trial_ids = [trial.entry.trial_id for trial in plan.trials]

    def directory(self, trial_id: str) -> TrialDirectory:
        """A trial's directory."""
        return trial_directory(self.folder, trial_id)

    def statuses(self) -> dict[str, Status]:
        """Status of each trial, by its short name."""
        found = {t.entry.name: self.directory(t.entry.trial_id).status() for t in self.plan.trials}
        return {name: status for name, status in found.items() if status is not None}

    def touched(self) -> dict[str, int]:
        """When each trial's checkpoint was written."""
        assert self.folder.local is not None
        return {p.parent.name: p.stat().st_mtime_ns for p in (self.folder.local / "trials").glob("*/last.pt")}


def train(path: Path, storage: Path) -> Ran:
    """Run a sweep file in this process."""
    plan = make_plan(read_sweep(str(path), []), str(path), root=storage)
    folder = Folder(storage) / plan.sweep.config.name
    plan.manifest.write(folder)
    console = Console(file=io.StringIO(), width=200)
    changed: list[str] = []
    outcome = run(plan, folder=folder, data_root=storage, address=None, console=console, changed=changed.append)
    return Ran(plan, outcome, folder, console.file.getvalue())  # type: ignore[attr-defined]


def records(directory: TrialDirectory) -> list[Record]:
    """A trial's records without its times."""
    return [{k: v for k, v in record.items() if not k.startswith("time/")} for record in directory.records()]


def alone(directory: TrialDirectory, tmp_path: Path) -> list[Record]:
    """Records of the same trial trained by `fit` alone, with the `trial.yaml` of its directory."""
    assert directory.folder.local is not None
    trial_file = directory.folder.local / "trial.yaml"
    other = Folder(tmp_path / "alone" / trial_file.parent.name)
    fit(Trial.prepare(read_trial(str(trial_file), [])), report=lambda record: None, checkpoint_dir=other)
    return records(TrialDirectory(other))


def environment() -> dict[str, str]:
    """Environment for a separate process that runs a sweep: one thread, and no Ray token."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH")}  # Set by Ray.
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def command(*arguments: str | Path) -> list[str]:
    """The command line of `run_sweep.py`."""
    return [sys.executable, str(ROOT / "run_sweep.py"), *map(str, arguments)]


def until(condition: Callable[[], Any], *, seconds: float = 200.0, process: subprocess.Popen[str] | None = None) -> Any:
    """Wait until a condition returns something true, and return that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        assert process is None or process.poll() is None, "the process ended first"
        time.sleep(0.02)
    raise AssertionError("timed out")


def writers(folder: Path) -> list[int]:
    """Other processes that have a file open below a folder."""
    found = []
    for fds in Path("/proc").glob("[0-9]*/fd"):
        try:
            is_open = any(os.readlink(fd).startswith(f"{folder}/") for fd in fds.iterdir())
        except OSError:  # It has ended, or belongs to another user.
            continue
        if is_open and int(fds.parent.name) != os.getpid():
            found.append(int(fds.parent.name))
    return found


def processes(mark: Path) -> list[int]:
    """Processes started by the sweep, and theirs: they have the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"WSNET_TEST_MARK={mark}\0".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # It has ended, or is somebody else's.
            continue
    return found


def kill(pid: int) -> None:
    """Kill a process with SIGKILL."""
    os.kill(pid, signal.SIGKILL)
