"""The mirror against a server that is not there, hangs, or is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tracking.stores import mlflow_mirror as Mirror
from tests.tracking.stores import new_store
from tests.tracking.sweeps import manifest, write_sweep
from wsnet.report import read_directory, read_mlflow
from wsnet.report.tables.csv_files import trials_csv
from wsnet.storage import Folder, trial_directory
from wsnet.tracking.client import connect, fail_fast

pytestmark = pytest.mark.slow  # MLflow takes seconds to import and to set up its database.

SOON = 9.0
"""Seconds: more than a busy machine needs, and less than one request to a server that hangs (10), or than MLflow's own
retries of a server that is down (247)."""


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def server(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """An MLflow server that answers."""
    store = new_store(Folder(folder / "server"))
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts")]
    # Without the processes for jobs (of traces and evaluations), which take longer to start than the server.
    lean = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with open(folder / "server.log", "ab") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **lean},
        )
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "server.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process
    finally:
        kill(process)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL the server and its workers."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def started(folder: Folder) -> set[str]:
    """Trials that have a status."""
    names = (folder / "trials").names()
    return {name for name in names if trial_directory(folder, name).status() is not None}


def test_a_dead_server_holds_nobody_up_and_what_is_missing_is_told(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    port = free_port()
    mirror = Mirror(folder, sweep, uri=f"http://127.0.0.1:{port}", revision=None)
    mirror.changed(sweep.trials[0].trial_id)
    wait_until(lambda: mirror.trouble is not None)
    assert mirror.trouble == f"MLflow at http://127.0.0.1:{port} cannot be reached; {len(started(folder))} trials wait"
    start = time.perf_counter()
    missing = mirror.close(5.0)
    assert time.perf_counter() - start < SOON
    assert missing == sorted(started(folder))


def test_a_server_that_never_answers_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        code = f"""
import time
from pathlib import Path
from tests.tracking.sweeps import manifest, write_sweep
from tests.tracking.stores import mlflow_mirror as Mirror
folder, sweep = write_sweep(Path({str(tmp_path)!r}))
mirror = Mirror(folder, sweep, uri="http://127.0.0.1:{listener.getsockname()[1]}", revision=None)
input()
start = time.perf_counter()
mirror.changed(sweep.trials[0].trial_id)
assert mirror.close(1.0)
assert time.perf_counter() - start < {SOON}
"""
        command = [sys.executable, "-c", code]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        listener.settimeout(60)
        connection, _ = listener.accept()  # From now on the mirror waits for an answer.
        with connection:
            start = time.perf_counter()
            _, error = child.communicate("\n", timeout=60)
        assert (child.returncode, error) == (0, "")
        assert time.perf_counter() - start < SOON


def test_a_server_killed_in_the_middle_ends_up_complete_and_without_doubles(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with server(tmp_path, port) as process:
        mirror = Mirror(folder, sweep, uri=uri, revision=None)
        wait_for_runs(uri, sweep.name, at_least=3)
        kill(process)
    missing = mirror.close(5.0)
    assert missing, "the server was to die in the middle"
    assert mirror.trouble is not None
    again = Mirror(folder, sweep, uri=uri, revision=None)
    wait_until(lambda: again.trouble is not None)
    with server(tmp_path, port):
        wait_until(lambda: again.trouble is None)  # It finds the server by itself.
        assert again.close(240) == []
        with fail_fast():
            client = connect(uri)
            experiment = client.get_experiment_by_name(sweep.name)
            runs = client.search_runs([experiment.experiment_id], "tags.`wsnet.kind` = 'trial'", max_results=1000)
            counts = Counter(run.data.tags["wsnet.trial_id"] for run in runs)
            assert counts == dict.fromkeys(started(folder), 1)
            for run in runs:
                records = trial_directory(folder, run.data.tags["wsnet.trial_id"]).records()
                steps = [point.step for point in client.get_metric_history(run.info.run_id, "train/loss")]
                assert steps == [record["epoch"] for record in records]
        assert trials_csv(read_mlflow(uri, sweep.name)) == trials_csv(read_directory(folder))


def test_one_more_start_uploads_all_that_earlier_ones_left_while_nobody_waits_for_it(tmp_path: Path) -> None:
    seeds = int(os.environ.get("WSNET_TRIALS", "90")) // 9
    folder, sweep = write_sweep(tmp_path, manifest(seeds=seeds))
    port = free_port()
    with server(tmp_path, port):
        mirror = Mirror(folder, sweep, uri=f"http://127.0.0.1:{port}", revision=None)
        # All of the sweep's, or those that have started, if it has listed them already.
        assert mirror.waiting >= len(started(folder)), "a sweep goes on before any of them is uploaded"
        began = time.monotonic()
        assert mirror.close(60.0, while_progress=True) == []
        print(f"{len(sweep.trials)} trials in {time.monotonic() - began:.1f} s")
        with fail_fast():
            client = connect(f"http://127.0.0.1:{port}")
            experiment = client.get_experiment_by_name(sweep.name)
            runs = client.search_runs([experiment.experiment_id], "tags.`wsnet.kind` = 'trial'", max_results=5000)
        counts = Counter(run.data.tags["wsnet.trial_id"] for run in runs)
        assert counts == dict.fromkeys(started(folder), 1) and len(counts) > 0.8 * len(sweep.trials)


def wait_for_runs(uri: str, name: str, at_least: int) -> None:
    """Wait until the server has so many runs."""
    with fail_fast():
        client = connect(uri)

        def enough() -> bool:
            experiment = client.get_experiment_by_name(name)
            return experiment is not None and len(client.search_runs([experiment.experiment_id])) >= at_least

        wait_until(enough)


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds."""
    end = time.perf_counter() + seconds
    while not holds():
        assert time.perf_counter() < end
        time.sleep(0.02)
