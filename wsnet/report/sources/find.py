"""Finding sweeps: the newest one, and what a user may have meant by a folder that holds none."""

import os
from pathlib import Path

from wsnet.called import program
from wsnet.report import ReportError

__all__ = ["check_is_sweep", "find_sweep", "sweeps_in"]


def find_sweep(folder: str) -> str:
    """The newest sweep directly below a local folder.

    Raises:
        ReportError: there is none.
    """
    sweeps = sweeps_in(folder)
    if not sweeps:
        raise ReportError(f"no sweep below ./{folder}; give the folder of a sweep that {program('run')} wrote")
    return sweeps[0]


def sweeps_in(folder: str) -> list[str]:
    """Sweeps directly below a local folder, newest first; empty if the folder is absent or remote."""
    manifests = Path(folder).glob("*/sweep.json") if "://" not in folder else ()
    newest_first = sorted(manifests, key=lambda path: (-path.stat().st_mtime, path))
    return [os.path.normpath(path.parent) for path in newest_first]


def check_is_sweep(place: str) -> None:
    """Raise if a folder holds no sweep, with a suggestion of what the user may have meant."""
    from wsnet.config.errors import did_you_mean
    from wsnet.storage import Folder

    folder = Folder(place)
    if folder.exists("sweep.json"):
        return
    below, beside = sweeps_in(place), sweeps_in(str(Path(place).parent))
    if below:
        raise ReportError(f"no sweep in {place!r} itself, but in folders below it; give one of: {', '.join(below)}")
    what = "holds no sweep.json" if folder.names() else "is absent or empty"
    raise ReportError(f"no sweep in {place!r}: the folder {what}{did_you_mean(place, beside)}")
