"""Connecting to MLflow: the default URI, and a client without log messages and minutes of retries."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from wsnet.errors import Error
from wsnet.storage import Folder, StorageError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "TrackingError",
    "artifact_location",
    "check_tracking_uri",
    "connect",
    "default_tracking_uri",
    "fail_fast",
    "reason",
    "sqlite_file",
    "without_password",
]

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

_SETTINGS = {
    # With its defaults MLflow 3.17 blocks for 247 s on a server that is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class TrackingError(Error):
    """A sweep cannot be read from MLflow; the message is one line for the user."""


def check_tracking_uri(uri: str) -> None:
    """Refuse an address at which there cannot be an MLflow store, before anything starts. Does not import mlflow.

    Raises:
        TrackingError: saying what is wrong with it.
    """
    rule = "the tracking URI must be http(s)://HOST..., sqlite:///FILE or another database that MLflow knows"
    parts = urlsplit(uri)
    scheme, shown = parts.scheme.partition("+")[0], without_password(uri)
    if scheme in ("http", "https"):
        if not parts.hostname:
            raise TrackingError(f"{rule}, but {shown!r} names no host")
    elif scheme in ("", "file"):
        raise TrackingError(f"{rule}, but got {shown!r}; MLflow no longer writes to folders, so give sqlite:///FILE")
    elif scheme in _DATABASES:
        from sqlalchemy import create_engine

        try:
            create_engine(uri)
        except Exception as error:  # A driver that is not installed, or a malformed URI.
            first = str(error).splitlines()[0].replace(uri, shown)
            raise TrackingError(f"the tracking URI {shown!r} cannot be used: {first}") from None
    elif not scheme.startswith(("databricks", "uc")):
        raise TrackingError(f"{rule}, but got {shown!r}")


def default_tracking_uri(sweep_folder: Folder | str | os.PathLike[str]) -> str:
    """The sweep's own database: `mlflow.db` in its folder.

    Raises:
        StorageError: the folder is not on this machine, so it cannot hold a database file.
    """
    folder = sweep_folder if isinstance(sweep_folder, Folder) else Folder(sweep_folder)
    if folder.local is None:
        raise StorageError(
            f"tracking needs its own URI if the storage is remote, but got none for {folder.location!r}; "
            "give one, such as http://127.0.0.1:5000 or sqlite:////data/mlflow.db"
        )
    return f"sqlite:///{_quoted(folder.local / 'mlflow.db')}"


def _quoted(file: Path) -> str:
    """A file's path for a URI: SQLAlchemy decodes it, so a percent sign or a question mark must be encoded."""
    return quote(str(file), safe="/ #:@+,=()[]~&;!$'\\")


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite tracking URI; None for any other."""
    prefix = "sqlite:///"
    return Path(unquote(uri.removeprefix(prefix).split("?")[0])).absolute() if uri.startswith(prefix) else None


def artifact_location(uri: str) -> str | None:
    """Where a new experiment's artifacts go: beside the SQLite file, since MLflow's default is the working
    directory; None leaves the choice to the server."""
    file = sqlite_file(uri)
    return None if file is None else str(file.parent / "mlflow-artifacts")


@contextmanager
def fail_fast() -> Iterator[None]:
    """A context in which MLflow fails at once, not after minutes of retries; the user's own settings are kept."""
    ours = {key: value for key, value in _SETTINGS.items() if key not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            os.environ.pop(key, None)


def connect(uri: str, *, create: bool = False) -> "MlflowClient":
    """An MLflow client, with log messages silenced. Imports mlflow (about one second); use it within `fail_fast`.

    Args:
        uri: tracking URI.
        create: create the database if it is absent. Two processes that create the same SQLite database at once can
            corrupt it, so they take turns.
    """
    file = sqlite_file(uri)
    if file is not None:  # MLflow tries for 100 s to open a file in an absent folder.
        file.parent.mkdir(parents=True, exist_ok=True)
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with Folder(file.parent).lock() if create and file is not None else nullcontext():
        if create and file is not None and not file.exists():
            _create(file)
        client = mlflow.MlflowClient(tracking_uri=uri)
        if create:
            client.search_experiments(max_results=1)  # The first call creates the tables.
    return client


def _create(file: Path) -> None:
    """Create an SQLite database, whole or not at all: MLflow cannot use one whose creation was interrupted."""
    import mlflow

    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.", ignore_cleanup_errors=True) as folder:
        new = Path(folder, file.name)
        mlflow.MlflowClient(tracking_uri=f"sqlite:///{_quoted(new)}").search_experiments(max_results=1)
        os.replace(new, file)


def reason(uri: str, error: BaseException) -> str:
    """Why MLflow cannot be used, in a few words and without the password in the URI."""
    place = without_password(uri)
    text = str(error).strip() or type(error).__name__
    if "API request to" in text or isinstance(error, ConnectionError):
        return f"MLflow at {place} cannot be reached"
    first = text.splitlines()[0].replace(uri, place)
    return f"MLflow at {place}: {first if len(first) <= 100 else first[:97] + '...'}"


def without_password(uri: str) -> str:
    """A tracking URI as it may be shown: without user and password."""
    parts = urlsplit(uri)
    return uri if "@" not in parts.netloc else parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
