"""Turns measurements into tables and figures, by pure functions. Imports neither torch nor ray."""

from typing import TYPE_CHECKING

from wsnet.errors import Error
from wsnet.lazy import lazy_names

if TYPE_CHECKING:
    from wsnet.report.header import Header
    from wsnet.report.results import Results
    from wsnet.report.sources.read import read_chosen, read_directory, read_mlflow
    from wsnet.report.tables.terminal import print_table
    from wsnet.report.write import conclude, write_report

__all__ = [
    "Header",
    "ReportError",
    "Results",
    "conclude",
    "print_table",
    "read_chosen",
    "read_directory",
    "read_mlflow",
    "write_report",
]


class ReportError(Error):
    """A report cannot be made; the message is one line for the user."""


# Loaded when first used: pyarrow and pydantic take 0.4 s, and `analyze.py --help` needs neither.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Header": "header",
        "Results": "results",
        "conclude": "write",
        "print_table": "tables.terminal",
        "read_chosen": "sources.read",
        "read_directory": "sources.read",
        "read_mlflow": "sources.read",
        "write_report": "write",
    },
)
