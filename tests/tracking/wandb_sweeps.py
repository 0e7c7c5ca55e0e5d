"""Sweeps that are mirrored into W&B."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.tracking.sweeps import manifest
from wsnet.storage import Folder, Manifest
from wsnet.tracking import Mirror, WandB, wandb_project

__all__ = ["KEY", "epochs", "files", "left", "mirrored", "small", "tracker", "until"]

KEY = "0" * 40
"""What W&B takes for an API key."""


def tracker(folder: Folder, sweep: Manifest) -> WandB:
    return WandB(folder, sweep, wandb_project("p", folder), revision="abc")


def mirrored(folder: Folder, sweep: Manifest) -> WandB:
    """Mirror until done."""
    made = tracker(folder, sweep)
    mirror = Mirror(folder, sweep, made)
    assert mirror.close(60) == [], mirror.trouble
    left(made)
    return made


def left(made: WandB) -> None:
    """Wait until the mirror has left the tracker."""
    with made:
        pass


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def small(seeds: int = 1) -> Manifest:
    return manifest(seeds=seeds, batch_sizes=[4])


def epochs(history: list[dict[str, float]]) -> list[float]:
    assert all(step["_step"] == step["epoch"] for step in history)
    return [step["epoch"] for step in history]


def files(folder: Folder) -> Path:
    assert folder.local is not None
    return folder.local / "wandb"
