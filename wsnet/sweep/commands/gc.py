"""`python run_sweep.py gc FOLDER`: finds, and with `--delete` deletes, files that no report needs."""

import argparse
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsnet.called import program
from wsnet.config.errors import counted
from wsnet.sweep.formatting import readable_size

if TYPE_CHECKING:
    from wsnet.storage import Folder

__all__ = ["Leftover", "leftovers", "main"]

_DESCRIPTION = """\
List the files of a sweep, or of all sweeps below a folder, that no report needs: checkpoints to resume from of trials
that have ended, damaged files that were set aside, and temporary files of writers that were killed. With --delete,
delete them. Records, statuses and configurations stay, and so does everything of a trial that runs or has not ended.
Safe while a sweep runs.
"""

_CHECKPOINTS, _DAMAGED, _TEMPORARY = "checkpoints of trials that have ended", "damaged files", "temporary files"
_UNLISTED = "files of trials that the sweep no longer has"

_AFTERWARDS = {
    _CHECKPOINTS: "these trials can no longer be continued to more epochs, evaluated again or started from (--resume)",
    _DAMAGED: "damaged files can no longer be examined",
    _UNLISTED: "their results are gone: if the sweep gets these settings back, they are trained from the beginning",
}
"""What deleting a kind of file makes impossible."""

_RESUMED_FROM = ("last.pt", "previous.pt", "step.pt")

_ABANDONED_SECONDS = 3600.0
"""Age from which a temporary file is taken to be left over: writing one takes seconds."""


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A file that no report needs.

    Attributes:
        path: the file.
        kind: why it is not needed.
        size: bytes.
    """

    path: Path
    kind: str
    size: int


def main(argv: list[str]) -> int:
    """List or delete leftovers.

    Args:
        argv: the arguments after `gc`.

    Returns:
        exit status: 0; 1 if a file could not be deleted; 2 if there is no sweep, or the folder is remote.
    """
    arguments = _parser().parse_args(argv)
    from wsnet.storage import Folder, StorageError

    try:
        found = [
            leftover
            for sweep in _sweeps(Folder(arguments.folder))
            for leftover in leftovers(sweep, unlisted=arguments.unlisted, delete=arguments.delete)
        ]
    except (StorageError, OSError) as error:
        print(f"{program('gc')}: {error}", file=sys.stderr)
        return 1 if isinstance(error, OSError) else 2
    for line in _lines(found, is_deleted=arguments.delete):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program("gc"), description=_DESCRIPTION)
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="a sweep's folder, or one with several, such as runs")
    add("--delete", action="store_true", help="delete them; without it, nothing is changed")
    what = "that the sweep file no longer has, WITH THEIR RESULTS"
    add("--unlisted", action="store_true", help=f"also the folders of trials {what}")
    return parser


def _sweeps(folder: "Folder") -> list["Folder"]:
    """The folder itself if it is a sweep's, otherwise those of the sweeps in it.

    Raises:
        StorageError: there is none, or the folder is remote.
    """
    from wsnet.storage import StorageError
    from wsnet.storage.find import meant_sweep

    if folder.local is None:
        raise StorageError(f"gc needs a local folder, but got {folder.location!r}: other storage has no locks")
    if folder.exists("sweep.json"):
        return [folder]
    sweeps = [folder / name for name in folder.names() if (folder / name).exists("sweep.json")]
    if not sweeps:
        hint = meant_sweep(folder.location) or f"; give one that {program('run')} wrote"
        raise StorageError(f"no sweep in {folder.location!r}, nor in a folder in it{hint}")
    return sweeps


def leftovers(sweep: "Folder", *, unlisted: bool = False, delete: bool = False) -> Iterator[Leftover]:
    """Find what no report of a sweep needs.

    Args:
        sweep: the sweep's folder, on this machine.
        unlisted: also the whole folders of trials that the manifest does not name.
        delete: delete each file before it is given. The lock of its trial is held meanwhile.

    Raises:
        StorageError: the folder holds no sweep.
    """
    from wsnet.storage import Manifest, trial_directory

    # The folders first: a sweep that starts meanwhile writes its manifest before it makes one.
    trials = (sweep / "trials").names()
    listed = {entry.trial_id for entry in Manifest.read(sweep).trials}
    assert sweep.local is not None
    yield from _abandoned(sweep.local, delete)
    for trial_id in trials:
        directory = trial_directory(sweep, trial_id)
        assert directory.folder.local is not None
        if (trial_id not in listed and not unlisted) or not directory.folder.local.is_dir():
            continue
        with directory.folder.try_lock() as is_ours:
            if is_ours and trial_id in listed:
                yield from _in_trial(directory.folder, delete)
            elif is_ours:
                yield from _deleted(sorted(directory.folder.local.rglob("*")), _UNLISTED, delete)
                if delete:
                    shutil.rmtree(directory.folder.local)


def _in_trial(folder: "Folder", delete: bool) -> Iterator[Leftover]:
    from wsnet.storage import DamagedFile, TrialDirectory

    local = folder.local
    assert local is not None
    try:
        status, records = TrialDirectory(folder).status(), TrialDirectory(folder).records()
        has_ended = status is not None and status.is_final and not status.lacks_records(records)
    except DamagedFile:
        has_ended = False  # The next start repairs the trial, for which it needs the checkpoints.
    if has_ended:
        yield from _deleted([local / name for name in _RESUMED_FROM], _CHECKPOINTS, delete)
    yield from _deleted(sorted(local.glob("*.damaged")), _DAMAGED, delete)
    yield from _abandoned(local, delete)


def _abandoned(folder: Path, delete: bool) -> Iterator[Leftover]:
    """Temporary files of `Folder.write`: `.NAME.xxxxxxxx`. Leases stay: their holders delete them."""
    old = time.time() - _ABANDONED_SECONDS
    named = [path for path in folder.glob(".?*.????????") if path.is_file() and path.stat().st_mtime < old]
    yield from _deleted(sorted(named), _TEMPORARY, delete)


def _deleted(paths: list[Path], kind: str, delete: bool) -> Iterator[Leftover]:
    """The files that are there, deleted if asked."""
    for path in paths:
        if path.is_file() and path.name != ".lease":
            leftover = Leftover(path=path, kind=kind, size=path.stat().st_size)
            if delete:
                path.unlink(missing_ok=True)
            yield leftover


def _lines(found: list[Leftover], *, is_deleted: bool) -> list[str]:
    by_kind: dict[str, list[int]] = defaultdict(list)
    for leftover in found:
        by_kind[leftover.kind].append(leftover.size)
    if not by_kind:
        return ["nothing to delete"]
    lines = [f"{kind}: {counted(len(sizes), 'file')}, {readable_size(sum(sizes))}" for kind, sizes in by_kind.items()]
    total = f"{counted(len(found), 'file')}, {readable_size(sum(leftover.size for leftover in found))}"
    consequences = [f"{'' if is_deleted else 'then '}{_AFTERWARDS[kind]}" for kind in by_kind if kind in _AFTERWARDS]
    last = f"Deleted {total}." if is_deleted else f"Nothing was deleted. With --delete, these {total} are."
    return [*lines, *consequences, last]
