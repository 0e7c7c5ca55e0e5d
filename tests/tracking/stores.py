"""MLflow stores for tests. Making the tables and the runs takes seconds, so both are made once and copied."""

import atexit
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory, mkdtemp

from tests.tracking.sweeps import write_sweep
from wsnet.storage import Folder, Manifest
from wsnet.tracking import Mirror, MLflow, default_tracking_uri, report_files
from wsnet.tracking import upload_report as upload
from wsnet.tracking.client import connect, fail_fast

__all__ = ["mirror", "mirrored_copy", "mirrored_sweep", "mlflow_mirror", "new_store", "upload_report"]


@cache
def mirrored_sweep() -> tuple[Folder, Manifest]:
    """A sweep whose trials ended in every way, all of it in MLflow with revision `abc`; for reading only."""
    place = mkdtemp(prefix="wsnet-store-")
    atexit.register(rmtree, place, ignore_errors=True)
    folder, sweep = write_sweep(Path(place))
    mirror(folder, sweep, "abc")
    return folder, sweep


def mirrored_copy(path: Path) -> tuple[Folder, Manifest]:
    """The same, to be changed."""
    folder, sweep = mirrored_sweep()
    assert folder.local is not None
    return Folder(copytree(folder.local, path / "copy")), sweep


def mirror(folder: Folder, sweep: Manifest, revision: str | None = None) -> str:
    """Mirror a sweep until all of it is in the store in its folder; the store's URI."""
    uri = new_store(folder)
    assert mlflow_mirror(folder, sweep, uri=uri, revision=revision).close(240) == []
    return uri


def mlflow_mirror(folder: Folder, sweep: Manifest, *, uri: str, revision: str | None, waits: bool = False) -> Mirror:
    """A mirror into MLflow."""
    return Mirror(folder, sweep, MLflow(folder, sweep, uri=uri, revision=revision), waits=waits)


def upload_report(folder: Folder, sweep: Manifest, uri: str, *, timeout: float = 30.0) -> str | None:
    """Upload the files of a sweep's report to MLflow; what went wrong."""
    return upload(MLflow(folder, sweep, uri=uri, revision=None), report_files(folder), timeout=timeout)


def new_store(folder: Folder) -> str:
    """The URI of the store in a sweep's folder, which is made where it is absent."""
    if not folder.exists("mlflow.db"):
        folder.write("mlflow.db", _empty_database())
    return default_tracking_uri(folder)


@cache
def _empty_database() -> bytes:
    with TemporaryDirectory() as place, fail_fast():
        connect(default_tracking_uri(place), create=True)
        with closing(sqlite3.connect(Path(place) / "mlflow.db")) as database:
            return database.serialize()
