"""The progress that a terminal shows: a table that is drawn again and again, or a line now and then."""

import math
import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wsnet.sweep.tally import Tally

__all__ = ["Board"]

_ROWS = 12
"""Settings shown: the best ones."""
_EVERY = 0.25
"""Seconds between two drawings on a terminal."""
_LINE_EVERY = 30.0
"""Seconds between lines where there is no terminal."""


class Board:
    """Draws a tally: a live table on a terminal, a line now and then elsewhere. A context manager.

    Args:
        tally: what to draw.
        console: where.
        trouble: asked for a line to show below, such as that tracking is down.
    """

    def __init__(self, tally: Tally, console: Console, trouble: Callable[[], str | None] = lambda: None) -> None:
        self._tally, self._console, self._trouble = tally, console, trouble
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._drawn = -math.inf
        self._told_trouble: str | None = None

    def __enter__(self) -> "Board":
        if self._live is not None:
            self._live.start()
        self.refresh()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        self._print(self._line())

    def refresh(self) -> None:
        """Draw again if it is time to."""
        now = time.monotonic()
        if now - self._drawn < (_EVERY if self._live else _LINE_EVERY):
            return
        self._drawn = now
        if self._live is not None:
            self._live.update(self._draw(), refresh=True)
            return
        self._print(self._line())
        trouble = self._trouble()
        if trouble and trouble != self._told_trouble:
            self._print(trouble)
        self._told_trouble = trouble

    def say(self, text: str) -> None:
        """Print a line above what is drawn."""
        self._print(text, style="red")

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False, style=style)

    def _draw(self) -> RenderableType:
        tally = self._tally
        bar = Table.grid(padding=(0, 1))
        done = f"{tally.done}/{len(tally.trials)}"
        bar.add_row("trials", ProgressBar(total=len(tally.trials), completed=tally.done, width=30), done, self._times())
        parts: list[RenderableType] = [bar, Text(self._counts(), no_wrap=True, overflow="ellipsis")]
        best = [state for state in tally.best_settings() if state.median is not None][:_ROWS]
        if best:
            table = Table(box=None, padding=(0, 2, 0, 0))
            table.add_column("best on validation so far", no_wrap=True, overflow="ellipsis", header_style="dim")
            table.add_column("seeds", justify="right", no_wrap=True, header_style="dim")
            table.add_column("median top-1 error %", justify="right", header_style="dim")
            for state in best:
                table.add_row(Text(state.name), f"{state.done}/{state.seeds}", _percent(state.median))
            parts.append(table)
        trouble = self._trouble()
        if trouble:
            parts.append(Text(trouble, style="yellow"))
        return Group(*parts)

    def _counts(self) -> str:
        tally = self._tally
        words = ("running", "failed", "diverged", "stopped")
        return ", ".join(f"{tally.count(word)} {word}" for word in words if word == "running" or tally.count(word))

    def _times(self) -> str:
        tally = self._tally
        left = tally.seconds_left()
        elapsed = f"{_clock(time.monotonic() - tally.began)} elapsed"
        is_going_on = left is not None and tally.done + tally.count("failed") < len(tally.trials)
        return f"{elapsed}, about {_clock(left)} left" if is_going_on and left is not None else elapsed

    def _line(self) -> str:
        tally = self._tally
        text = f"trials {tally.done}/{len(tally.trials)}: {self._counts()}, {self._times()}"
        best = tally.best_settings()[0]
        return text if best.median is None else f"{text}; best on validation: {best.name} {_percent(best.median)} %"


def _percent(error: float | None) -> str:
    return "" if error is None else "diverged" if math.isinf(error) else f"{error:.2f}"


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
