"""MLflow's SQLite database: where it lies, and that it is created whole or not at all."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from wsnet.tracking import default_tracking_uri
from wsnet.tracking.client import artifact_location, connect, fail_fast, sqlite_file

pytestmark = pytest.mark.slow  # MLflow takes seconds to import and to set up its database.


def test_the_default_database_lies_in_the_sweeps_folder_whatever_its_name(tmp_path: Path) -> None:
    for name in ("plain", "with space", "100%20", "a#b", "what?"):
        uri = default_tracking_uri(tmp_path / name)
        assert sqlite_file(uri) == tmp_path / name / "mlflow.db"
        assert artifact_location(uri) == str(tmp_path / name / "mlflow-artifacts")
    assert artifact_location("http://127.0.0.1:5000") is None


_CREATE = """
import sys, time
from wsnet.tracking.client import connect, fail_fast
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
with fail_fast():
    connect(sys.argv[1], create=True).search_experiments()
"""


def test_processes_that_create_the_database_at_once_all_can_use_it(tmp_path: Path) -> None:
    uri = default_tracking_uri(tmp_path)
    at = str(time.time() + 5)
    commands = [[sys.executable, "-c", _CREATE, uri, at] for _ in range(4)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    assert [process.communicate(timeout=240)[1] for process in processes] == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4


def is_half_made(file: Path) -> bool:
    """Whether a table of an SQLite database is just being changed."""
    query = "select 1 from sqlite_master where name like '_alembic_tmp%'"
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=0.01)) as database:
        return database.execute(query).fetchone() is not None
    return False


def test_a_database_whose_creation_was_killed_is_created_anew(tmp_path: Path) -> None:
    uri = default_tracking_uri(tmp_path)
    script = f"from wsnet.tracking.client import connect\nconnect({uri!r}, create=True)\n"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    while not any(map(is_half_made, tmp_path.rglob("mlflow.db"))):
        assert process.poll() is None, "it has ended"
    process.kill()
    process.wait()
    with fail_fast():
        assert [experiment.name for experiment in connect(uri, create=True).search_experiments()] == ["Default"]
    assert (tmp_path / "mlflow.db").exists()
