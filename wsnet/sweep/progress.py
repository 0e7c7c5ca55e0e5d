"""The progress of a sweep: how far its trials are, and its display on a terminal."""

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wsnet.storage import Status, TrialEntry
from wsnet.sweep.time_left import EPOCH, TRIAL, EpochTimes, SlotUse, makespan, start_order

__all__ = ["STOPPED", "ProgressDisplay", "SettingState", "SweepProgress"]

STOPPED = "stopped by the scheduler"
"""The message of a trial that the scheduler stopped."""

_DONE = ("finished", "diverged", "stopped")

_ROWS = 12
"""Maximum number of settings shown, best first."""

_REDRAW_SECONDS = 0.25
"""Minimum time between redraws on a terminal."""

_LINE_SECONDS = 30.0
"""Minimum time between lines where the output is not a terminal."""

_PAUSES = 20
"""Time between redraws, as a multiple of the time that one takes: with thousands of trials it is longer."""


@dataclass(frozen=True, kw_only=True)
class SettingState:
    """How far a setting is.

    Attributes:
        name: its short name.
        done: number of seeds that need no more work.
        seeds: number of seeds in all.
        median: median over the seeds measured so far of the validation top-1 error, in percent; infinite if half of
            them diverged, None before the first epoch or without a validation split.
    """

    name: str
    done: int
    seeds: int
    median: float | None


@dataclass
class SweepProgress:
    """How far the trials of a sweep are, kept up to date by `started`, `waits`, `measured` and `ended`.

    Attributes:
        trials: every trial of the sweep.
        epochs: total number of epochs of each trial, by trial_id.
        concurrent: number of trials that run at the same time.
        statuses: status of each trial that has started, by trial_id.
        latest: record of each trial's last epoch, by trial_id.
        began: start time on the monotonic clock, in seconds.
        shows_accuracy: whether the best settings are shown with their accuracies instead of their errors.
    """

    trials: list[TrialEntry]
    epochs: dict[str, int]
    concurrent: int = 1
    statuses: dict[str, str] = field(default_factory=dict)
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    shows_accuracy: bool = False

    def __post_init__(self) -> None:
        self._settings = {trial.trial_id: trial.setting_id for trial in self.trials}
        self._times = EpochTimes(self.trials)
        self._since: dict[str, float] = {}  # When a running trial's current epoch began.
        self._use = SlotUse()

    def started(self, trial_id: str) -> None:
        """Count a trial as running."""
        self.statuses[trial_id] = "running"
        self._since[trial_id] = time.monotonic()
        self._use.started(trial_id)

    def waits(self, trial_id: str) -> None:
        """Count a trial as paused until its setting is decided about."""
        self.statuses[trial_id] = "waiting"
        self._since.pop(trial_id, None)

    def measured(self, trial_id: str, record: dict[str, Any]) -> None:
        """Take in the record of an epoch; ignored unless its epoch is later than the last known one."""
        if record.get("epoch", 0) <= self.latest.get(trial_id, {}).get("epoch", 0):
            return
        self.latest[trial_id] = record
        if "time/epoch_seconds" in record:
            self._times.measured(self._settings[trial_id], record["time/epoch_seconds"])
        if trial_id in self._since:
            self._since[trial_id] = time.monotonic()
            self._use.worked(record.get("time/epoch_seconds", 0.0))

    def ended(self, trial_id: str, status: Status) -> None:
        """Count a trial as ended."""
        self.statuses[trial_id] = status.status
        if self._since.pop(trial_id, None) is not None:
            self._use.ended()

    def count(self, *statuses: str) -> int:
        """How many trials are in one of these states."""
        return sum(status in statuses for status in self.statuses.values())

    @property
    def done(self) -> int:
        """Trials that need no more work."""
        return self.count(*_DONE)

    def seconds_left(self) -> float | None:
        """Expected time to the end; None before any epoch is measured."""
        per_epoch = self._times.expected()
        if per_epoch is None:
            return None
        over = {*_DONE, "failed"}
        left = [trial for trial in self.trials if self.statuses.get(trial.trial_id) not in over]
        left.sort(key=lambda trial: (trial.trial_id not in self._since, start_order(trial)))
        return makespan((self._left(trial, per_epoch[trial.setting_id]) for trial in left), self.concurrent)

    def _left(self, trial: TrialEntry, per_epoch: float) -> float:
        """Seconds that a trial still needs."""
        epochs = self.epochs[trial.trial_id] - self.latest.get(trial.trial_id, {}).get("epoch", 0)
        since = self._since.get(trial.trial_id)
        gone = 0.0 if since is None else time.monotonic() - since
        of_epochs: float = max(0.0, epochs * (per_epoch + EPOCH) - min(gone, per_epoch))
        return of_epochs + (TRIAL if since is None else 0.0)

    @property
    def utilization(self) -> float | None:
        """Share of the slots' time, from the first trial's start to the last one's end, that was spent in epochs.

        Epochs of earlier starts do not count. None if no epoch was trained.
        """
        return self._use.share(self.concurrent)

    def best_settings(self) -> list[SettingState]:
        """Settings by their median validation top-1 error over the seeds measured so far, best first."""
        by_setting: dict[str, list[TrialEntry]] = defaultdict(list)
        for trial in self.trials:
            by_setting[trial.setting_id].append(trial)
        states = []
        for trials in by_setting.values():
            errors = [error for error in map(self._validation_error, trials) if error is not None]
            states.append(
                SettingState(
                    name=trials[0].name.rpartition("-s")[0],
                    done=sum(self.statuses.get(trial.trial_id) in _DONE for trial in trials),
                    seeds=len(trials),
                    median=statistics.median(errors) if errors else None,
                )
            )
        return sorted(states, key=lambda state: (state.median is None, state.median or 0.0))

    def _validation_error(self, trial: TrialEntry) -> float | None:
        if self.statuses.get(trial.trial_id) == "diverged":
            return math.inf
        error = self.latest.get(trial.trial_id, {}).get("validation/top1_error")
        return None if error is None or math.isnan(error) else float(error)


class ProgressDisplay:
    """A context manager that shows the progress: a live table on a terminal, an occasional line elsewhere.

    Args:
        progress: what to show.
        console: where to show it.
        trouble: returns a line to show below, such as that tracking is down, or None.
    """

    def __init__(
        self, progress: SweepProgress, console: Console, trouble: Callable[[], str | None] = lambda: None
    ) -> None:
        self._progress, self._console, self._other_trouble = progress, console, trouble
        self._waiting: str | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._drawn = -math.inf
        self._pause = 0.0
        self._before = dict(progress.statuses)
        self._shown_trouble: str | None = None

    def __enter__(self) -> "ProgressDisplay":
        if self._live is not None:
            self._live.start()
        self.refresh()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        self._print(self._line())

    def refresh(self) -> None:
        """Draw again if enough time has passed."""
        now = time.monotonic()
        if now - self._drawn < (max(_REDRAW_SECONDS, self._pause) if self._live else _LINE_SECONDS):
            return
        self._drawn = now
        if self._live is not None:
            self._live.update(self._draw(), refresh=True)
            self._pause = _PAUSES * (time.monotonic() - now)
            return
        self._print(self._line())
        trouble = self._trouble()
        if trouble and trouble != self._shown_trouble:
            self._print(trouble)
        self._shown_trouble = trouble

    def waiting(self, trouble: str | None) -> None:
        """Show that the sweep waits, for example for its storage; None when that is over."""
        if (trouble is None) != (self._waiting is None):
            self._drawn = -math.inf
        self._waiting = trouble
        self.refresh()

    def say(self, text: str) -> None:
        """Print a line above what is drawn."""
        self._print(text, style="red")

    def _trouble(self) -> str | None:
        return self._waiting or self._other_trouble()

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False, style=style)

    def _draw(self) -> RenderableType:
        progress = self._progress
        bar = Table.grid(padding=(0, 1))
        done = f"{progress.done}/{len(progress.trials)}"
        drawn = ProgressBar(total=len(progress.trials), completed=progress.done, width=30)
        bar.add_row("trials", drawn, done, self._times())
        parts: list[RenderableType] = [bar, Text(self._counts(), no_wrap=True, overflow="ellipsis")]
        best = [state for state in progress.best_settings() if state.median is not None][:_ROWS]
        if best:
            table = Table(box=None, padding=(0, 2, 0, 0))
            table.add_column("best on validation so far", no_wrap=True, overflow="ellipsis", header_style="dim")
            table.add_column("seeds", justify="right", no_wrap=True, header_style="dim")
            measure = "accuracy" if progress.shows_accuracy else "error"
            table.add_column(f"median top-1 {measure} %", justify="right", header_style="dim")
            for state in best:
                table.add_row(Text(state.name), f"{state.done}/{state.seeds}", self._percent(state.median))
            parts.append(table)
        trouble = self._trouble()
        if trouble:
            parts.append(Text(trouble, style="yellow"))
        return Group(*parts)

    def _counts(self) -> str:
        progress = self._progress
        counts = {word: progress.count(word) for word in ("running", "waiting", "failed", "diverged", "stopped")}
        nothing_yet = progress.statuses == self._before and progress.done < len(progress.trials)
        if nothing_yet and not counts["running"]:
            return "the first trials' processes are starting"
        return ", ".join(f"{count} {word}" for word, count in counts.items() if word == "running" or count)

    def _times(self) -> str:
        progress = self._progress
        left = progress.seconds_left()
        elapsed = f"{_clock(time.monotonic() - progress.began)} elapsed"
        is_going_on = left is not None and progress.done + progress.count("failed") < len(progress.trials)
        return f"{elapsed}, about {_clock(left)} left" if is_going_on and left is not None else elapsed

    def _line(self) -> str:
        progress = self._progress
        text = f"trials {progress.done}/{len(progress.trials)}: {self._counts()}, {self._times()}"
        best = progress.best_settings()[0]
        return (
            text if best.median is None else f"{text}; best on validation: {best.name} {self._percent(best.median)} %"
        )

    def _percent(self, error: float | None) -> str:
        if error is None or math.isinf(error):
            return "" if error is None else "diverged"
        return f"{100 - error if self._progress.shows_accuracy else error:.2f}"


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
