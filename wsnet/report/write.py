"""Writing a report into a folder, local or remote."""

import os

from wsnet.report.figure import figure_png
from wsnet.report.pivot import pivot
from wsnet.report.results import Results
from wsnet.report.tables import table_csv, table_markdown, trials_csv
from wsnet.storage import Folder

__all__ = ["write_report"]


def write_report(results: Results, out: Folder | str | os.PathLike[str]) -> list[str]:
    """Write `table.md`, `table.csv`, `trials.csv` and `figure.png`.

    Returns:
        where each of them is.

    Raises:
        ReportError: the sweep asks for a statistic that there is not.
    """
    folder = out if isinstance(out, Folder) else Folder(out)
    cells = pivot(results)
    files = {
        "table.md": table_markdown(results, cells).encode(),
        "table.csv": table_csv(results, cells).encode(),
        "trials.csv": trials_csv(results).encode(),
        "figure.png": figure_png(results, cells),
    }
    for name, data in files.items():
        folder.write(name, data)
    return [(folder / name).location for name in files]
