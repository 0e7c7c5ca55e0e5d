"""Finding sweeps on this machine, and what a user may have meant by a folder that holds none."""

import os
import re
from pathlib import Path

from wsnet.config.errors import nearest

__all__ = ["STORAGE", "meant_sweep", "sweeps_in", "sweeps_of_file"]

STORAGE = "runs"
"""Folder of the sweeps, unless --storage names another."""


def sweeps_in(folder: str) -> list[str]:
    """Sweeps directly below a local folder, newest first; empty if the folder is absent or remote."""
    manifests = Path(folder).glob("*/sweep.json") if "://" not in folder else ()
    newest_first = sorted(manifests, key=lambda path: (-path.stat().st_mtime, path))
    return [os.path.normpath(path.parent) for path in newest_first]


def sweeps_of_file(file: Path) -> list[str]:
    """Sweeps in `runs`, here or beside the sweep file, that carry its name; none if the file has no `name`."""
    found = re.search(r"^name: *[\"']?([^\s\"'#]+)", file.read_text(errors="replace"), re.MULTILINE)
    places = dict.fromkeys(os.path.normpath(os.path.relpath(path)) for path in (Path(STORAGE), file.parent / STORAGE))
    return [] if found is None else [s for place in places for s in sweeps_in(place) if Path(s).name == found[1]]


def meant_sweep(place: str) -> str:
    """`; did you mean 'runs/quickstart'?`, for a folder without a sweep: those below it, or one of a similar name."""
    if "://" in place:
        return ""
    if below := sweeps_in(place):
        return f"; give one of those in it: {', '.join(below)}"
    path = Path(place)
    known = {Path(sweep).name: sweep for sweep in (*sweeps_in(STORAGE), *sweeps_in(str(path.parent)))}
    near = nearest(path.name, known)
    return "" if near is None else f"; did you mean {known[near]!r}?"
