"""Sweeps on clusters of several nodes."""

import json
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.shared import SHARED
from tests.sweep.raylets import kill_node, raylets, workers_on
from tests.sweep.started import EPOCHS, assert_each_has_one_run, assert_whole, epochs, started, sweep_file, trials
from tests.sweep.tiny import ROOT, command, environment, kill, records, until, write
from wsnet.config import read_sweep
from wsnet.storage import Folder, TrialDirectory, trial_directory
from wsnet.storage.trial_directory import Record
from wsnet.sweep.planning.plan import make_plan

OWN = ROOT / "tests" / "own_norms.py"

# Another Ray runs beside them: the session's. It also makes Ray's token, which both sides then use.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("shared_ray")]


LONG = {"train": {"epochs": EPOCHS, "steps_per_epoch": 20}, "resources": {"max_concurrent": None}}


@contextmanager
def started_on_all(tmp_path: Path, cluster: Any, **changes: Any) -> Iterator[subprocess.Popen[str]]:
    """A sweep of as many trials as there are nodes, each of which has a trial in the middle."""
    path = sweep_file(tmp_path, **changes)
    plan = make_plan(read_sweep(str(path), []), str(path), root=tmp_path)
    folder = Folder(tmp_path / "runs" / "tiny")
    leases = [trial_directory(folder, trial.entry.trial_id).folder.lease() for trial in plan.trials]
    assert all(lease.try_acquire() for lease in leases), "no trial begins before all processes are there"
    with started(tmp_path, "--address", cluster.address, **changes) as process:
        until(lambda: all(workers_on(node, "lr") for node in cluster.list_all_nodes()), process=process)
        for lease in leases:
            lease.release()
        until(lambda: all_under_way(tmp_path, len(leases)), process=process)
        yield process


def all_under_way(tmp_path: Path, count: int) -> bool:
    done = [file.read_bytes().count(b"\n") for file in trials(tmp_path).glob("*/records.jsonl")]
    return len(done) == count and all(3 <= number < EPOCHS for number in done)


def test_a_node_killed_in_the_middle_of_a_sweep_changes_no_record_and_doubles_no_trial(tmp_path: Path) -> None:
    with raylets({"num_cpus": 1}, {"num_cpus": 1}) as cluster:
        (other,) = cluster.worker_nodes
        with started_on_all(tmp_path, cluster, **LONG) as process:
            kill_node(cluster, other)
            stdout, stderr = process.communicate(timeout=200)
        assert (process.returncode, stderr) == (0, "")
        assert "2 trials at a time" in stdout
    assert_whole(tmp_path, {})
    assert_each_has_one_run(tmp_path)


@pytest.mark.exhaustive
def test_a_killed_driver_of_a_cluster_goes_on_where_it_was(tmp_path: Path) -> None:
    three = {**LONG, "grid": {"optim.lr": [0.1, 0.05, 0.02]}}
    with raylets(*[{"num_cpus": 1}] * 3) as cluster:
        with started_on_all(tmp_path, cluster, **three) as process:
            kill(process.pid)
            process.wait()
            before = epochs(tmp_path)
            # At once: the dead driver's trials may still be there, and hold the CPUs and the leases.
            with started(tmp_path, "--address", cluster.address, **three) as again:
                stdout, stderr = again.communicate(timeout=200)
        assert (again.returncode, stderr) == (0, "")
        assert "3 trials at a time" in stdout and before < 3 * EPOCHS
    assert_whole(tmp_path, {}, count=3)
    assert_each_has_one_run(tmp_path)


ON_BOTH = {"train": {"epochs": 30, "steps_per_epoch": 2}, "grid": {}, "resources": {"workers": 2}}


def of_the_trial(folder: Path) -> list[Record]:
    (trial,) = trials(folder).iterdir()
    directory = TrialDirectory(Folder(trial))
    status = directory.status()
    assert status is not None and (status.status, status.epoch) == ("finished", 30)
    return records(directory)


@pytest.mark.exhaustive
def test_a_worker_killed_on_one_of_two_nodes_changes_no_record(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        folder.mkdir()
    with raylets({"num_cpus": 1}, {"num_cpus": 1}, dashboard=True) as cluster:
        nodes = [cluster.head_node, *cluster.worker_nodes]
        with started(undisturbed, "--address", cluster.address, **ON_BOTH) as process:
            _, stderr = process.communicate(timeout=200)
        assert (process.returncode, stderr) == (0, "")
        with started(killed, "--address", cluster.address, **ON_BOTH) as process:
            until(lambda: epochs(killed) >= 5, process=process)
            on_each = [workers_on(node, "RayTrainWorker") for node in nodes]
            assert [len(workers) for workers in on_each] == [1, 1]
            kill(on_each[1][0])
            _, stderr = process.communicate(timeout=200)
        assert (process.returncode, stderr) == (0, "")
    assert of_the_trial(killed) == of_the_trial(undisturbed)
    assert_each_has_one_run(killed)


@pytest.mark.exhaustive
def test_a_paused_trial_frees_its_workers_beside_another_cluster(tmp_path: Path) -> None:
    scheduler = {"name": "asha", "grace": 2, "eta": 2}
    changes = {**ON_BOTH, "train": {"epochs": 4, "steps_per_epoch": 2}, "seeds": 2, "scheduler": scheduler}
    with (
        raylets({"num_cpus": 1}, {"num_cpus": 1}, dashboard=True) as cluster,
        started(tmp_path, "--address", cluster.address, **changes) as process,
    ):
        _, stderr = process.communicate(timeout=250)
    assert (process.returncode, stderr) == (0, "")
    statuses = [TrialDirectory(Folder(trial)).status() for trial in trials(tmp_path).iterdir()]
    assert [(status.status, status.epoch) for status in statuses if status] == [("finished", 4)] * 2


def _small_on_mnist(*, epochs: int, steps: int) -> dict[str, Any]:
    """The configuration of trials whose images must be on the node."""
    return {
        "data": {"name": "mnist", "validation": 100, "limit": 100},
        "model": {"name": "cifar_resnet", "depth": 8, "width": 4},
        "optim": {"name": "sgd", "lr": 0.05},
        "train": {"epochs": epochs, "batch_size": 8, "steps_per_epoch": steps},
    }


@pytest.mark.exhaustive
@pytest.mark.skipif(SHARED is None, reason="needs real images")
def test_a_node_without_the_images_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSNET_DATA", f"{SHARED}/data")
    base = _small_on_mnist(epochs=1, steps=2)
    elsewhere = {"num_cpus": 1, "env_vars": {"WSNET_DATA": "/dev/null/images"}}
    (tmp_path / "tiny.yaml").write_text(json.dumps({"name": "tiny", "base": base, "seeds": 2}))
    with raylets({"num_cpus": 1}, elsewhere) as cluster:
        (without,) = cluster.worker_nodes
        run = subprocess.run(
            command(tmp_path / "tiny.yaml", "--storage", tmp_path / "runs", "--address", cluster.address),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert run.returncode == 2, run.stdout
        assert f"node {socket.gethostname()} ({without.node_ip_address}): the images of 'mnist' are not" in run.stderr
        assert run.stderr.count("\n") == 1 and not trials(tmp_path).exists()
        kill_node(cluster, without)
        done = subprocess.run(run.args, env=environment(), capture_output=True, text=True, timeout=200)
        assert (done.returncode, done.stderr) == (0, ""), "it is left out"


@pytest.mark.exhaustive
@pytest.mark.skipif(SHARED is None, reason="needs real images")
def test_a_node_that_joins_later_without_the_images_is_named_and_its_trials_go_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSNET_DATA", f"{SHARED}/data")
    base = _small_on_mnist(epochs=300, steps=4)
    resources = {"cpus_per_worker": 1, "max_failures": 1}
    (tmp_path / "tiny.yaml").write_text(json.dumps({"name": "tiny", "base": base, "seeds": 2, "resources": resources}))
    with raylets({"num_cpus": 1}, {"num_cpus": 1}) as cluster:
        (first,) = cluster.worker_nodes
        with subprocess.Popen(
            command(tmp_path / "tiny.yaml", "--storage", tmp_path / "runs", "--address", cluster.address),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as run:
            until(lambda: len(list(trials(tmp_path).glob("*/records.jsonl"))) == 2, process=run)
            later = cluster.add_node(num_cpus=1, env_vars={"WSNET_DATA": "/dev/null/images"})
            kill_node(cluster, first)
            stdout, stderr = run.communicate(timeout=200)
    assert (run.returncode, stderr) == (0, "")
    where = f"node {socket.gethostname()} ({later.node_ip_address})"
    lacking = f"{where}: the images of 'mnist' are not in '/dev/null/images'; put them there"
    assert " ".join(stdout.split()).count(lacking) == 1, stdout
    done = [TrialDirectory(Folder(trial)).status() for trial in trials(tmp_path).iterdir()]
    assert [(status.status, status.epoch) for status in done if status is not None] == [("finished", 300)] * 2


@pytest.mark.exhaustive
def test_a_submitted_job_has_an_entry_with_its_log_and_brings_code_and_own_norms(tmp_path: Path) -> None:
    from ray.job_submission import JobStatus, JobSubmissionClient

    home = tmp_path / "home"
    home.mkdir()
    (home / "mine.py").write_text(OWN.read_text() + "\nimport wsnet\nprint('wsnet is at', wsnet.__file__)\n")
    write(home, cases=[{"model.norm.name": "mine.py:PowerNorm", "model.norm.power": 0.5}], seeds=2)
    # Raylets on one machine share the files of a job, and delete them under each other's hands: one is enough.
    with raylets({"num_cpus": 1}, dashboard=True) as cluster:
        client = JobSubmissionClient(f"http://{cluster.webui_url}")
        storage = tmp_path / "runs"

        def submitted() -> str:
            words = ["python", str(ROOT / "run_sweep.py"), "tiny.yaml", "--storage", str(storage), "--address", "auto"]
            with suppress(RuntimeError):  # The cluster is not ready for jobs yet.
                return client.submit_job(
                    entrypoint=shlex.join(words), runtime_env={"working_dir": str(home)}, submission_id="tiny"
                )
            return ""

        name = until(submitted)
        ended = (JobStatus.SUCCEEDED, JobStatus.FAILED)
        until(lambda: client.get_job_status(name) in ended)
        log = client.get_job_logs(name)
        assert client.get_job_status(name) == JobStatus.SUCCEEDED, log
        assert "Does it [run]?  2 trials, results in" in log and "test/top1_error" in log
        assert client.get_job_info(name).entrypoint.endswith("--address auto")
    assert_each_has_one_run(tmp_path)
    logs = [(trial / "log.txt").read_text() for trial in trials(tmp_path).iterdir()]
    assert len(logs) == 2
    assert all(re.search(r"wsnet is at /\S+/py_modules_files/\S+/wsnet/__init__\.py", log) for log in logs), logs
