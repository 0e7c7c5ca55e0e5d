"""`--watch`: the table, redrawn while a sweep runs."""

import time
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from wsnet.report.results import Results
from wsnet.report.tables.arrange import Arrangement, arrange
from wsnet.report.tables.terminal import print_table

__all__ = ["watch"]

_SECONDS = 5.0
"""Between two drawings."""


def watch(read: Callable[[], Results], asked: Arrangement, *, seconds: float = _SECONDS) -> None:
    """Draw the table until no trial runs, or until Ctrl-C.

    Args:
        read: reads the results.
        asked: what the table shows.
        seconds: between two drawings.
    """
    console = Console()
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while True:
                results = read()
                running = sum(trial.status == "running" for trial in results.trials)
                live.update(_drawn(results, asked, console, running), refresh=True)
                if not running:
                    return
                time.sleep(seconds)
    except KeyboardInterrupt:
        return


def _drawn(results: Results, asked: Arrangement, console: Console, running: int) -> Group:
    if not results.trials:
        return Group(Text("No trial has started yet."))
    shown, quantities = arrange(results, asked)
    with console.capture() as capture:
        print_table(shown, console, quantities=quantities)
    return Group(Text.from_ansi(capture.get()), Text(f"{running} running; Ctrl-C ends watching", style="dim"))
