"""The report card, printed."""

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wsnet.layers.check.run import CHECKS, check
from wsnet.layers.check.subject import Subject

__all__ = ["show"]

_STYLES = {"pass": "green", "fail": "bold red", "note": "yellow"}


def show(subject: Subject, console: Console | None = None, only: list[str] | None = None) -> int:
    """Run the checks and print what they find.

    Args:
        subject: the norm.
        console: where to print.
        only: names of checks; by default all.

    Returns:
        1 where a check failed, else 0.
    """
    console = console or Console()
    height, width = subject.size
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    count: Counter[str] = Counter()
    for name in only or CHECKS:
        with console.status(name):
            found = check(subject, name).finding
        count[found.verdict] += 1
        table.add_row(name, f"[{_STYLES[found.verdict]}]{found.verdict}[/]", escape(found.text))
    title = f"{subject.config.name}, {subject.channels} channels, maps of {height}x{width}"
    console.print(escape(title), style="bold", highlight=False)
    console.print(table, highlight=False)
    console.print(", ".join(f"{count[v]} {v}" for v in _STYLES if count[v]), highlight=False)
    return 1 if count["fail"] else 0
