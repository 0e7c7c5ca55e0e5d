"""The command line as a user has it: a process of its own, its exit status, what it prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep.tiny import command, environment, write

SCRIPT = """
import sys
from wsnet.sweep.cli import main
try:
    status = main(sys.argv[1:], conclude=lambda folder, console: None)
except SystemExit as error:
    status = error.code
print("heavy:", sorted({"torch", "ray", "mlflow", "pyarrow"} & set(sys.modules)), "status:", status)
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, timeout=200)


def light(*arguments: str | Path) -> str:
    """Run in a process that tells what it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return done.stdout + done.stderr


def test_help_loads_nothing_heavy() -> None:
    text = light("--help")
    assert "heavy: [] status: 0" in text and "--dry-run" in text


def test_a_typo_in_the_file_is_found_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    path = write(tmp_path, train={"epoch": 3})
    text = light(path)
    assert "heavy: [] status: 2" in text and "did you mean 'epochs'" in text


@pytest.mark.parametrize("option", ["--images=0", "--images=two", "--steps=1"])
def test_an_option_that_makes_no_sense_ends_with_status_2(option: str, tmp_path: Path) -> None:
    text = light(write(tmp_path), "--smoke" if "images" in option else "--dry-run", option)
    assert "heavy: [] status: 2" in text and "error:" in text and "Traceback" not in text


def test_only_some_settings_are_run(tmp_path: Path) -> None:
    path = write(tmp_path, grid={"train.batch_size": [4, 8, 16]}, seeds=2)
    assert "1 settings x 2 seeds = 2 trials" in light(path, "--dry-run", "--only", "train.batch_size=8")
    assert "must be axis=value" in light(path, "--dry-run", "--only", "=3")
    text = light(path, "--dry-run", "--only", "train.batch_sise=8")
    assert "heavy: [] status: 2" in text and "--only: train.batch_sise: no axis of this sweep; did you mean" in text


def test_a_dry_run_counts_and_starts_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, grid={"train.batch_size": [4, 8, 16]}, seeds=2)
    scaled = ("--set", "optim.scale_with_batch.rule=linear", "--set", "optim.scale_with_batch.base=8")
    text = light(path, "--dry-run", "--storage", tmp_path / "runs", *scaled)
    assert "3 settings x 2 seeds = 6 trials" in text
    assert "train.batch_size 16: optim.scale_with_batch gives lr 0.1\n" in text
    assert "parameters" in text and "Nothing was started" in text and "'ray'" not in text and "status: 0" in text
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_images_that_are_missing_are_one_message_and_nothing_is_started(tmp_path: Path) -> None:
    path = write(tmp_path, base={
        "data": {"name": "cifar10"},
        "model": {"name": "cifar_resnet", "depth": 8},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": 8},
    })  # fmt: skip
    done = run(path, "--storage", tmp_path / "runs", "--data-root", tmp_path / "nothing here")
    assert done.returncode == 2
    assert "'cifar10'" in done.stderr and "nothing here/cifar10/train.parquet" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["a file", "a file/below"])
def test_a_storage_that_can_not_be_written_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    done = run(write(tmp_path), "--storage", tmp_path / name)
    assert done.returncode == 2
    assert "--storage must be a place that can be written to" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_one_line_and_soon(address: str, tmp_path: Path) -> None:
    text = light(write(tmp_path), "--storage", tmp_path / "runs", "--address", address)
    assert "heavy: [] status: 2" in text and address in text and "Traceback" not in text
    assert not (tmp_path / "runs").exists()


CLUSTER = """
import ray
from wsnet.sweep.ray_session import ray_session
with ray_session(address=None, cpus=2):
    print(ray.get_runtime_context().gcs_address, flush=True)
    input()
"""


@pytest.mark.slow
def test_a_sweep_joins_a_running_cluster_and_its_results_lie_below_the_folder_it_was_started_in(tmp_path: Path) -> None:
    path = write(tmp_path, train={"epochs": 1})
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        done = subprocess.run(
            command(path, "--storage", "runs", "--address", address),
            env=environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
    finally:
        cluster.communicate("\n", timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Ray: 2 CPUs" in done.stdout
    assert [p.name for p in (tmp_path / "runs" / "tiny").glob("trials/*/last.pt")] == ["last.pt"]


@pytest.mark.slow
def test_a_whole_run_prints_nothing_of_rays_and_leaves_no_temporary_folder(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = write(tmp_path, grid={"optim.lr": [0.05, 0.1]})
    options = ("--storage", str(tmp_path / "runs"), "--set", "train.epochs=1")
    done = subprocess.run(
        command(path, *options),
        env={**environment(), "TMPDIR": str(scratch), "RAY_TMPDIR": "/tmp"},  # Ray's sockets need a short path.
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"Does it [run]?  2 trials, results in {tmp_path}/runs/tiny"
    assert re.fullmatch(r"Ray: \d+ CPUs, \d+ GPUs; \d+ trials at a time, 1 worker of \d+ CPU.* each", lines[1])
    assert lines[2].startswith("Ray dashboard: http://") and "ray get-auth-token" in lines[2]
    assert all(line.startswith("trials ") for line in lines[3:5])
    assert any(line.startswith("Compare runs: mlflow ui") for line in lines)
    assert (tmp_path / "runs" / "tiny" / "sweep.yaml").read_text().startswith("# run with --set train.epochs=1\n")
    assert [p.name for p in scratch.iterdir() if p.name.startswith("wsnet")] == []

    again = run(path, *options)
    assert again.returncode == 0 and "Every trial is done already." in again.stdout
