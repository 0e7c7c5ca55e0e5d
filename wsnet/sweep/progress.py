"""Progress of a sweep: trials done, running and failed, the best settings on validation, the time left."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from wsnet.storage import Status, TrialEntry

__all__ = ["Board", "Tally"]

_ROWS = 12
"""Settings shown: the best ones."""
_LINE_EVERY = 30.0
"""Seconds between lines where there is no terminal."""


@dataclass
class Tally:
    """Where the trials of a sweep are, kept up to date by what is told of each.

    Args:
        trials: every trial of the sweep.
        epochs: epochs of each trial, by trial_id.
        concurrent: trials that run at the same time.
    """

    trials: list[TrialEntry]
    epochs: dict[str, int]
    concurrent: int = 1
    statuses: dict[str, str] = field(default_factory=dict)
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._settings = {trial.trial_id: trial.setting_id for trial in self.trials}
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def started(self, trial_id: str) -> None:
        """A trial has a slot."""
        self.statuses[trial_id] = "running"

    def measured(self, trial_id: str, record: dict[str, Any]) -> None:
        """A trial has an epoch more."""
        self.latest[trial_id] = record
        if "time/epoch_seconds" in record:
            self._seconds[self._settings[trial_id]].append(record["time/epoch_seconds"])

    def ended(self, trial_id: str, status: Status) -> None:
        """A trial gave its slot back."""
        self.statuses[trial_id] = status.status

    def count(self, *statuses: str) -> int:
        """How many trials are in one of these states."""
        return sum(status in statuses for status in self.statuses.values())

    @property
    def done(self) -> int:
        """Trials that need no more work."""
        return self.count("finished", "diverged", "stopped")

    def seconds_left(self) -> float | None:
        """Time left, from each setting's own epochs where it has run, else from the others'; None before the first."""
        known = {setting: statistics.median(seconds) for setting, seconds in self._seconds.items()}
        if not known:
            return None
        usual = statistics.mean(known.values())
        work: float = sum(
            (self.epochs[trial.trial_id] - self.latest.get(trial.trial_id, {}).get("epoch", 0))
            * known.get(trial.setting_id, usual)
            for trial in self.trials
            if self.statuses.get(trial.trial_id) not in ("finished", "diverged", "stopped", "failed")
        )
        return work / self.concurrent

    def best_settings(self) -> list[tuple[str, int, int, float | None]]:
        """Settings by their median validation top-1 error over seeds so far: (name, seeds done, seeds, median)."""
        by_setting: dict[str, list[TrialEntry]] = defaultdict(list)
        for trial in self.trials:
            by_setting[trial.setting_id].append(trial)
        rows = []
        for trials in by_setting.values():
            errors = [self._validation_error(trial) for trial in trials]
            known = [error for error in errors if error is not None]
            finished = sum(self.statuses.get(trial.trial_id) in ("finished", "diverged", "stopped") for trial in trials)
            name = trials[0].name.rpartition("-s")[0]
            rows.append((name, finished, len(trials), statistics.median(known) if known else None))
        return sorted(rows, key=lambda row: (row[3] is None, row[3] if row[3] is not None else 0.0))

    def _validation_error(self, trial: TrialEntry) -> float | None:
        if self.statuses.get(trial.trial_id) == "diverged":
            return float("inf")
        error = self.latest.get(trial.trial_id, {}).get("validation/top1_error")
        return None if error is None or error != error else float(error)


class Board:
    """Draws a tally: a live table on a terminal, a line now and then elsewhere.

    Args:
        tally: what to draw.
        console: where.
        trouble: asked for a line to show below, such as that tracking is down.
    """

    def __init__(self, tally: Tally, console: Console, trouble: Callable[[], str | None] = lambda: None) -> None:
        self._tally, self._console, self._trouble = tally, console, trouble
        self._live = (
            Live(self._draw(), console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._drawn = 0.0

    def __enter__(self) -> "Board":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        self._console.print(self._line(), highlight=False, soft_wrap=True)

    def refresh(self) -> None:
        """Draw again if it is time to."""
        now = time.monotonic()
        if now - self._drawn < (0.25 if self._live else _LINE_EVERY):
            return
        self._drawn = now
        if self._live is not None:
            self._live.update(self._draw(), refresh=True)
        else:
            self._console.print(self._line(), highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line above what is drawn."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False, style="red")

    def _draw(self) -> RenderableType:
        bar = Progress(
            TextColumn("trials"), BarColumn(bar_width=30), MofNCompleteColumn(), TextColumn("{task.description}")
        )
        bar.add_task(self._counts(), total=len(self._tally.trials), completed=self._tally.done)
        table = Table(
            box=None, padding=(0, 2), title="best on validation so far", title_justify="left", title_style="dim"
        )
        for heading in ("setting", "seeds", "median top-1 error %"):
            table.add_column(heading, justify="left" if heading == "setting" else "right")
        for name, finished, seeds, median in self._tally.best_settings()[:_ROWS]:
            if median is not None:
                shown = "diverged" if median == float("inf") else f"{median:.2f}"
                table.add_row(name, f"{finished}/{seeds}", shown)
        trouble = self._trouble()
        return Group(bar, table, *([f"[yellow]{trouble}[/yellow]"] if trouble else []))

    def _counts(self) -> str:
        tally = self._tally
        left = tally.seconds_left()
        parts = [f"{tally.count('running')} running", f"{tally.count('failed')} failed"]
        if tally.count("diverged"):
            parts.append(f"{tally.count('diverged')} diverged")
        parts.append(f"{_clock(time.monotonic() - tally.began)} elapsed")
        if left is not None and tally.done < len(tally.trials):
            parts.append(f"{_clock(left)} left")
        return ", ".join(parts)

    def _line(self) -> str:
        best = next((row for row in self._tally.best_settings() if row[3] is not None), None)
        text = f"trials {self._tally.done}/{len(self._tally.trials)}: {self._counts()}"
        return text + (f"; best on validation: {best[0]} {best[3]:.2f} %" if best else "")


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
