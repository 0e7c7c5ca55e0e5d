"""What is printed on a terminal: times, sizes, and the epochs that a scheduler has saved."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Side", "TrialEpochs", "announced", "describe_savings", "duration", "readable_size"]

Side = Literal["left", "right"]


def duration(seconds: float) -> str:
    """`45 s`, `2.5 min`, `3.0 hours`, `2.1 days`."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def readable_size(size: float) -> str:
    """Bytes in powers of 1000: `12 B`, `345 kB`, `1.2 TB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@contextmanager
def announced(text: str, console: "Console") -> Iterator[None]:
    """Within the context, say what is waited for: beside a spinner on a terminal, on a line of its own elsewhere."""
    if console.is_terminal:
        with console.status(text):
            yield
        return
    console.print(f"{text} ...", highlight=False, markup=False, soft_wrap=True)
    yield


@dataclass(frozen=True, kw_only=True)
class TrialEpochs:
    """What a trial was trained for.

    Attributes:
        setting_id: its setting.
        trained: epochs done.
        full: epochs of the whole training.
        is_stopped: whether the scheduler has stopped it.
    """

    setting_id: str
    trained: int
    full: int
    is_stopped: bool


def describe_savings(trials: Iterable[TrialEpochs]) -> str:
    """`scheduler: 108 of 648 epochs trained; 540 saved by stopping 18 of 24 trials (6 of 8 settings)`.

    Args:
        trials: every trial of a sweep.
    """
    trials = list(trials)
    stopped = [trial for trial in trials if trial.is_stopped]
    done, full = sum(trial.trained for trial in trials), sum(trial.full for trial in trials)
    saved = sum(trial.full - trial.trained for trial in stopped)
    settings = len({trial.setting_id for trial in trials})
    of_settings = f"{len({trial.setting_id for trial in stopped})} of {settings} settings"
    what = f"stopping {len(stopped)} of {len(trials)} trials ({of_settings})"
    return f"scheduler: {done:,} of {full:,} epochs trained; {saved:,} saved by {what}"
