"""MLflow stores for tests. Making the tables takes seconds, so one empty database is made and copied."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from wsnet.storage import Folder, Manifest
from wsnet.tracking import Mirror, default_tracking_uri
from wsnet.tracking.client import connect, fail_fast

__all__ = ["mirror", "new_store"]


def mirror(folder: Folder, sweep: Manifest, revision: str | None = None) -> str:
    """Mirror a sweep until all of it is in the store in its folder; the store's URI."""
    uri = new_store(folder)
    assert Mirror(folder, sweep, uri=uri, revision=revision).close(60) == []
    return uri


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
