"""Bundles: one zip file with what a sweep's report is made of, without checkpoints."""

import zipfile
from pathlib import Path

from wsnet.report import ReportError
from wsnet.storage import Folder, Manifest

__all__ = ["unpack", "write_bundle"]

_OF_SWEEP = ("sweep.json", "sweep.yaml", "rungs.jsonl")
_OF_TRIAL = ("trial.yaml", "status.json", "records.jsonl", "execution.json", "error.txt")


def write_bundle(place: str, file: str) -> str:
    """Pack a sweep's manifest, report, and each trial's records and configuration.

    Args:
        place: the sweep's folder.
        file: the zip file to write.

    Returns:
        its path.
    """
    folder = Folder(place)
    manifest = Manifest.read(folder)
    report = [
        name for name in folder.names() if name.startswith(("table", "figure", "report.")) or name == "trials.csv"
    ]
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in (*_OF_SWEEP, *report):
            _add(bundle, name, folder.read(name))
        for entry in manifest.trials:
            for name in _OF_TRIAL:
                _add(bundle, f"trials/{entry.trial_id}/{name}", (folder / "trials" / entry.trial_id).read(name))
    partial.replace(path)
    return str(path)


def _add(bundle: zipfile.ZipFile, name: str, data: bytes | None) -> None:
    if data is not None:  # Every entry has the same date, so that equal sweeps give equal files.
        bundle.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def unpack(file: str, into: str | None = None) -> str:
    """Unpack a bundle into a folder, which is then a sweep's folder like any other.

    Args:
        file: the bundle.
        into: the folder; None for one of the bundle's name in the current folder.

    Returns:
        the folder.

    Raises:
        ReportError: it is no bundle, or the folder holds something else.
    """
    place = into or Path(file).stem
    try:
        with zipfile.ZipFile(file) as bundle:
            if "sweep.json" not in bundle.namelist():
                raise ReportError(f"{file!r} is no bundle of a sweep: it holds no sweep.json")
            folder = Folder(place)
            if folder.names() and folder.read("sweep.json") != bundle.read("sweep.json"):
                raise ReportError(f"{file!r} unpacks into {place!r}, but that holds something else; give --out")
            bundle.extractall(place)  # Leading slashes and `..` are left out of the names.
    except zipfile.BadZipFile:
        raise ReportError(f"{file!r} is no bundle of a sweep: it is not a zip file, or is damaged") from None
    return place
