"""wsnet as it is installed: a wheel, away from its source tree."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from wsnet.config.example_sweeps import example_sweeps

ROOT = Path(__file__).parents[1]
SOURCES = ("wsnet", "sweeps", "setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def pip(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a wheel of this source was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    # An older setuptools cannot build it: pip then gets a newer one, which needs an index.
    is_new = int(version("setuptools").partition(".")[0]) >= 77
    built = pip("wheel", "--no-deps", *["--no-build-isolation"] * is_new, "-w", str(folder), ".", cwd=source)
    if built.returncode and not is_new and "setuptools>=77" in built.stderr:
        pytest.skip("building a wheel needs setuptools 77, and there is no index to get it from")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    done = pip("install", "--no-deps", "--target", str(folder / "site"), str(wheel), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def wsnet(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"}
    (site / "work").mkdir(exist_ok=True)
    command = [sys.executable, str(site / "bin" / "wsnet"), *words]
    return subprocess.run(command, cwd=site / "work", env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_wheel_has_the_command_the_examples_and_all_files(installed: Path) -> None:
    names = {path.relative_to(ROOT / "wsnet") for path in (ROOT / "wsnet").rglob("*") if "__pycache__" not in str(path)}
    assert {name for name in names if not (installed / "wsnet" / name).exists()} == set()
    assert {path.stem for path in (installed / "wsnet" / "sweeps").glob("*.yaml")} == example_sweeps().keys()
    assert {path.name for path in installed.iterdir()} - {"work"} == {
        "bin",
        "wsnet",
        f"wsnet-{version_of(installed)}.dist-info",
    }
    assert wsnet(installed, "--version").stdout == f"wsnet {version_of(installed)}\n"


def version_of(site: Path) -> str:
    (metadata,) = site.glob("wsnet-*.dist-info")
    return metadata.name.removeprefix("wsnet-").removesuffix(".dist-info")


@pytest.mark.slow
def test_an_example_runs_by_its_name_and_messages_name_the_command(installed: Path) -> None:
    shown = wsnet(installed, "run", "quickstart", "--dry-run", "--set", "train.batch_size=64", "--set", "seeds=1")
    assert shown.returncode == 0, shown.stderr
    found = wsnet(installed, "run", "quikstart")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "quikstart: no such file, and no example of this name; did you mean 'quickstart'?\n"
    small = ("--set", "train.epochs=1", "--set", "seeds=1", "--set", "train.batch_size=64")
    only = ("--only", "model.norm.name=layer", "--only", "model.norm.name=instance")
    trained = wsnet(installed, "run", "quickstart", *small, *only, "--set", "report.compare=null")
    assert trained.returncode == 0, trained.stderr
    assert "Other tables: wsnet analyze runs/quickstart\n" in trained.stdout
    again = wsnet(installed, "analyze", "runs/quickstart", "--metric", "train/loss")
    assert again.returncode == 0 and "wrote runs/quickstart/table-train-loss.md" in again.stdout
    status = wsnet(installed, "status", "runs/quickstart")
    assert status.returncode == 0 and "2 finished" in status.stdout
