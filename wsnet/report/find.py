"""Finding the sweeps below a folder."""

import os
from pathlib import Path

from wsnet.report.results import ReportError

__all__ = ["find_sweep", "sweeps_in"]


def sweeps_in(folder: str) -> list[str]:
    """Sweeps right below a local folder, the newest first; nothing where it is absent or remote."""
    manifests = Path(folder).glob("*/sweep.json") if "://" not in folder else ()
    newest_first = sorted(manifests, key=lambda path: (-path.stat().st_mtime, path))
    return [os.path.normpath(path.parent) for path in newest_first]


def find_sweep(folder: str) -> str:
    """The newest sweep right below a local folder.

    Raises:
        ReportError: there is none.
    """
    sweeps = sweeps_in(folder)
    if not sweeps:
        raise ReportError(f"no sweep below ./{folder}; give the folder of a sweep that run_sweep.py wrote")
    return sweeps[0]
