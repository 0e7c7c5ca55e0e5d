"""The command line as a user has it: a process of its own, its exit status, what it prints."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import pytest
from rich.console import Console

from tests.sweep.tiny import command, environment, write
from wsnet import report
from wsnet.config import read_sweep
from wsnet.storage import Folder, trial_directory
from wsnet.sweep.cli import main
from wsnet.sweep.planning.plan import make_plan
from wsnet.training import Trial, fit

SCRIPT = """
import contextlib, io, json, sys
from wsnet.sweep.cli import main
for line in sys.stdin:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status = main(json.loads(line), conclude=lambda folder, console: None)
        except SystemExit as error:
            status = error.code
        print("heavy:", sorted({"torch", "ray", "mlflow", "pyarrow"} & set(sys.modules)), "status:", status)
    print(json.dumps(said.getvalue()), flush=True)
"""
"""Runs one command line after the other, and tells what has been imported until then."""

Run = Callable[..., str]


@contextmanager
def interpreter() -> Iterator[Run]:
    """A process for several command lines: most of the time of one is the start of Python and its imports."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(*arguments: str | Path) -> str:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        process.stdin.flush()
        return str(json.loads(process.stdout.readline()))

    with process:
        yield run


@pytest.fixture(scope="module")
def light() -> Iterator[Run]:
    """For command lines that end before anything heavy is imported: what one of them imports, the next one shows."""
    with interpreter() as run:
        yield run


@pytest.fixture
def scratch() -> Iterator[Path]:
    """For temporary files; sockets among them have to have shorter paths than `tmp_path` has."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def heavy() -> Iterator[Run]:
    """For the others."""
    with interpreter() as run:
        yield run


def test_help_loads_nothing_heavy(light: Run) -> None:
    text = light("--help")
    assert "heavy: [] status: 0" in text and "--dry-run" in text


def test_a_typo_in_the_file_is_found_before_anything_heavy_is_loaded(light: Run, tmp_path: Path) -> None:
    path = write(tmp_path, train={"epoch": 3})
    text = light(path)
    assert "heavy: [] status: 2" in text and "did you mean 'epochs'" in text


@pytest.mark.parametrize("option", ["--images=0", "--images=two", "--steps=1"])
def test_an_option_that_makes_no_sense_ends_with_status_2(light: Run, option: str, tmp_path: Path) -> None:
    text = light(write(tmp_path), "--smoke" if "images" in option else "--dry-run", option)
    assert "heavy: [] status: 2" in text and "error:" in text and "Traceback" not in text


@pytest.mark.slow
def test_only_some_settings_are_run(light: Run, heavy: Run, tmp_path: Path) -> None:
    path = write(tmp_path, grid={"train.batch_size": [4, 8, 16]}, seeds=2)
    assert "1 setting x 2 seeds = 2 trials" in heavy(path, "--dry-run", "--only", "train.batch_size=8")
    assert "must be axis=value" in light(path, "--dry-run", "--only", "=3")
    text = light(path, "--dry-run", "--only", "train.batch_sise=8")
    assert "heavy: [] status: 2" in text and "--only: train.batch_sise: no axis of this sweep; did you mean" in text


@pytest.mark.slow
def test_a_dry_run_counts_and_starts_nothing(heavy: Run, tmp_path: Path) -> None:
    path = write(tmp_path, grid={"train.batch_size": [4, 8, 16]}, seeds=2)
    scaled = ("--set", "optim.scale_with_batch.rule=linear", "--set", "optim.scale_with_batch.base=8")
    text = heavy(path, "--dry-run", "--storage", tmp_path / "runs", *scaled)
    assert "3 settings x 2 seeds = 6 trials" in text
    assert "train.batch_size 16: optim.scale_with_batch gives lr 0.1\n" in text
    assert "parameters" in text and "Nothing was started" in text and "'ray'" not in text and "status: 0" in text
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_images_that_are_missing_are_one_message_and_nothing_is_started(tmp_path: Path) -> None:
    path = write(tmp_path, base={
        "data": {"name": "cifar10"},
        "model": {"name": "cifar_resnet", "depth": 8},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": 8},
    })  # fmt: skip
    done = subprocess.run(
        command(path, "--storage", tmp_path / "runs", "--data-root", tmp_path / "nothing here"),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 2
    assert "'cifar10'" in done.stderr and "nothing here/cifar10/train.parquet" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["a file", "a file/below"])
def test_a_storage_that_can_not_be_written_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a file").touch()
    arguments = [str(write(tmp_path)), "--storage", str(tmp_path / name)]
    assert main(arguments, conclude=lambda folder, console: None) == 2
    error = capsys.readouterr().err
    assert "--storage must be writable" in error and error.count("\n") == 1


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_one_line_and_soon(light: Run, address: str, tmp_path: Path) -> None:
    text = light(write(tmp_path), "--storage", tmp_path / "runs", "--address", address)
    assert "heavy: [] status: 2" in text and address in text and "Traceback" not in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_temporary_folders_too_deep_for_rays_sockets_are_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = tmp_path / "deep" / ("x" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    monkeypatch.setenv(name, str(deep))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # The tests may share a Ray.
    arguments = [str(write(tmp_path)), "--storage", str(tmp_path / "runs")]
    assert main(arguments, conclude=lambda folder, console: None) == 2
    error = capsys.readouterr().err
    assert "Ray cannot start" in error and "set " + name in error and error.count("\n") == 1


@pytest.mark.slow
def test_a_sweep_joins_a_running_cluster_and_its_results_lie_below_the_folder_it_was_started_in(
    tmp_path: Path, cluster: str
) -> None:
    path = write(tmp_path, train={"epochs": 1})
    done = subprocess.run(
        command(path, "--storage", "runs", "--address", cluster),
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Ray: 2 CPUs" in done.stdout
    assert [p.name for p in (tmp_path / "runs" / "tiny").glob("trials/*/last.pt")] == ["last.pt"]


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_whole_run_prints_nothing_of_rays_and_leaves_no_temporary_folder(
    tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, grid={"optim.lr": [0.05, 0.1]}, resources={"max_concurrent": 1})
    options = ("--storage", str(tmp_path / "runs"), "--set", "train.epochs=1")
    done = subprocess.run(
        command(path, *options),
        # Ray's sockets need a short path; its token is in the home folder.
        env={
            **environment(),
            "TMPDIR": str(scratch),
            "RAY_TMPDIR": gettempdir(),
            "HOME": str(tmp_path / "home"),
            "WSNET_DASHBOARD": "1",
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert first.startswith("reading images")
    assert lines.pop(1) == "starting Ray ..."
    assert lines[0] == f"Does it [run]?  2 trials, results in {tmp_path}/runs/tiny"
    assert re.fullmatch(r"Ray: \d+ CPUs, \d+ GPUs; 1 trial at a time, 1 worker of \d+ CPU.* each", lines[1])
    assert all(line.startswith(("trials ", "Ray dashboard: http://")) for line in lines[2:4])
    assert any(line.startswith("Compare runs: mlflow ui") for line in lines)
    assert (tmp_path / "runs" / "tiny" / "sweep.yaml").read_text().startswith("# run with --set train.epochs=1\n")
    assert [p.name for p in scratch.iterdir() if p.name.startswith("wsnet")] == []
    assert (tmp_path / "home" / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600

    assert main([str(path), *options], conclude=lambda folder, console: None) == 0
    assert "Every trial is done already." in capsys.readouterr().out


def trained_alone(path: Path, storage: Path) -> Folder:
    """The folder of a sweep whose trials have been trained without Ray."""
    plan = make_plan(read_sweep(str(path)), str(path), root=storage)
    folder = Folder(storage) / plan.sweep.config.name
    for trial in plan.trials:
        own = trial_directory(folder, trial.entry.trial_id).folder
        fit(Trial.prepare(trial.config), report=lambda record: None, checkpoint_dir=own)
    return folder


@pytest.mark.slow
def test_a_report_that_cannot_be_written_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, train={"epochs": 1})
    folder = trained_alone(path, tmp_path / "runs")

    def on_full_disk(folder: Folder, console: Console) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # No file may become longer.
        try:
            report.conclude(folder, console)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert main([str(path), "--storage", str(tmp_path / "runs")], conclude=on_full_disk) == 1
    said = capsys.readouterr()
    assert "Every trial is done already." in said.out
    assert said.err == f"the report could not be written to {folder.location}: File too large\n"
