"""The end of a sweep: its table on the terminal, its report in its folder."""

from typing import TYPE_CHECKING

from wsnet.report.directory_reader import read_directory
from wsnet.report.terminal import print_table
from wsnet.report.write import write_report
from wsnet.storage import Folder

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["conclude"]


def conclude(sweep: Folder, console: "Console") -> None:
    """Print a sweep's table and write its report beside its trials.

    Raises:
        StorageError: the folder holds no sweep, or can not be written to.
    """
    results = read_directory(sweep)
    print_table(results, console)
    written = write_report(results, sweep)
    console.print(f"Report: {', '.join(written)}", highlight=False, soft_wrap=True)
