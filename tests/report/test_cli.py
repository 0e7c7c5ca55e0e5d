"""`python analyze.py`."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tracking.stores import mirror
from tests.tracking.sweeps import manifest, write_sweep
from wsnet.report.cli import main
from wsnet.storage import Folder

FILES = ("table.md", "table.csv", "table.tex", "trials.csv", "figure.png", "report.md", "report.html")
ROOT = Path(__file__).resolve().parents[2]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a call that is refused."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_sweeps_folder_gets_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    folder, _ = write_sweep(tmp_path)
    assert main([folder.location]) == 0
    assert set(FILES) <= set(folder.names())
    output = capsys.readouterr().out
    assert all(f"wrote {folder.location}/{name}\n" in output for name in FILES)
    assert "14.80 [14.14, 15.13]" in output


@pytest.mark.slow
def test_another_metric_leaves_the_sweeps_own_report_alone(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path)
    assert main([folder.location]) == 0
    before = {name: folder.read(name) for name in FILES}
    assert main([folder.location, "--metric", "validation/top1_error"]) == 0
    assert {name: folder.read(name) for name in FILES} == before
    assert b"validation/top1_error at the last epoch" in (folder.read("table-validation-top1_error.md") or b"")
    own = {*FILES, *(f"figure-{kind}.png" for kind in ("curves", "rungs", "strip", "time"))}
    assert main([folder.location, "--metric", "validation/top1_error", "--out", str(tmp_path / "there")]) == 0
    assert set(os.listdir(tmp_path / "there")) == own


@pytest.mark.slow
def test_a_narrower_terminal_shows_the_range_below_the_median(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = write_sweep(tmp_path)
    lines: dict[str, list[str]] = {}
    for columns in ("160", "100", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main([folder.location]) == 0
        lines[columns] = [line for line in capsys.readouterr().out.splitlines() if "14.80" in line or "[14.14" in line]
    assert [len(found) for found in lines.values()] == [1, 2, 1]  # a row, a row of two lines, a list


def test_the_newest_sweep_below_runs_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no sweep below ./runs" in refusal(capsys)
    for age, name in enumerate(("new", "old")):
        manifest(name=name).write(Folder(f"runs/{name}"))
        os.utime(f"runs/{name}/sweep.json", (1e9 - age, 1e9 - age))
    assert main(["--out", "here"]) == 0
    assert "newest sweep: runs/new\n" in capsys.readouterr().out
    assert set(FILES) == set(os.listdir("here"))
    assert "give one of: runs/new, runs/old" in refusal(capsys, "runs")
    assert "did you mean 'runs/new'?" in refusal(capsys, "runs/nwe")


def mirrored(place: Path) -> tuple[Folder, str]:
    """The folder of the sweep "batches", and the MLflow store that has it too."""
    folder, sweep = write_sweep(place, manifest(seeds=1))
    return folder, mirror(folder, sweep)


@pytest.mark.slow
def test_mlflow_gives_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, uri = mirrored(tmp_path)
    assert main(["--tracking-uri", uri, "--experiment", "batches", "--metric", "train/loss"]) == 0
    assert "wrote batches-report/table-train-loss.md\n" in capsys.readouterr().out
    assert main([folder.location, "--metric", "train/loss"]) == 0
    for name in ("table-train-loss.md", "table-train-loss.csv", "trials.csv"):
        assert Path("batches-report", name).read_bytes() == (folder.read(name) or b"")
    error = refusal(capsys, "--tracking-uri", uri, "--experiment", "btches")
    assert "no experiment 'btches'" in error
    assert "did you mean 'batches'?" in error
    assert "is not a sweep" in refusal(capsys, "--tracking-uri", uri, "--experiment", "Default")


@pytest.mark.slow
def test_the_views_in_mlflow_are_printed_from_the_folder_and_from_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, uri = mirrored(tmp_path)
    assert main([folder.location]) == 0
    from_folder = [line for line in capsys.readouterr().out.splitlines() if "viewStateShareKey" in line]
    assert main(["--tracking-uri", uri, "--experiment", "batches"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "viewStateShareKey" in line] == from_folder
    assert [line.split(":")[0].strip() for line in from_folder] == [
        "settings by median",
        "settings as a chart",
        "trials by setting",
    ]


def test_mistakes_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = write_sweep(tmp_path)
    assert "is absent or empty" in refusal(capsys, str(tmp_path / "nowhere"))
    assert "not both" in refusal(capsys, folder.location, "--experiment", "x")
    assert "--tracking-uri is missing" in refusal(capsys, "--experiment", "x")
    assert "--experiment is missing" in refusal(capsys, "--tracking-uri", "http://127.0.0.1:1")
    assert "there are: test/top1_error, train/loss, val" in refusal(capsys, folder.location, "--metric", "accuracy")
    absent = tmp_path / "mlflow.db"
    assert "must name an existing" in refusal(capsys, "--tracking-uri", f"sqlite:///{absent}", "--experiment", "x")
    assert not absent.exists()
    start = time.perf_counter()
    assert "cannot be reached" in refusal(capsys, "--tracking-uri", "http://127.0.0.1:9", "--experiment", "x")
    assert time.perf_counter() - start < 60  # With MLflow's own retries it would be 247 s.


def test_options_that_would_be_ignored_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = write_sweep(tmp_path)[0].location
    rule = ("--fail-if", "median(test/top1_error) > 8")
    assert "--fail-if would be ignored with --best" in refusal(capsys, place, "--best", *rule)
    assert "--best and --reproduce exclude each other" in refusal(capsys, place, "--best", "--reproduce", "x")
    assert "--by goes with --best or --best-epoch" in refusal(capsys, place, "--by", "validation/loss")
    assert "must name a file that ends in .zip" in refusal(capsys, place, "--bundle", "x.tar")
    assert "needs the folder of one sweep" in refusal(capsys, place, f"{place}/.", "--bundle", "x.zip")
    assert "either rows or columns" in refusal(capsys, place, "--rows", "optim.lr", "--columns", "optim.lr")
    assert "--accuracy is about errors" in refusal(capsys, place, "--accuracy", "--metric", "train/loss")
    assert "--figures takes png, svg and pdf" in refusal(capsys, place, "--figures", "gif")
    assert "table.md" not in os.listdir(place)


@pytest.mark.slow
def test_a_table_of_other_cells_does_not_speak_of_the_declared_comparisons(tmp_path: Path) -> None:
    declared = {"keys": ["model.norm.name"], "against": ['"batch"'], "count": 6, "written": {}}
    sweep = manifest()
    sweep.report["compare"] = declared
    folder, _ = write_sweep(tmp_path, sweep)
    assert main([folder.location]) == 0
    assert b"6 comparisons declared before the run" in (folder.read("table.md") or b"")
    for options in (["--where", "train.batch_size=32"], ["--columns", "none"], ["--best-epoch"]):
        assert main([folder.location, *options, "--out", str(tmp_path / "out")]) == 0
        text = (tmp_path / "out" / "table.md").read_text()
        assert "the 6 declared comparisons are about the sweep's own table" in text and "have not started" not in text


def test_trials_that_have_not_started_are_counted(tmp_path: Path) -> None:
    sweep = manifest()
    sweep.report["trials"] = len(sweep.trials)
    folder, _ = write_sweep(tmp_path, sweep)
    assert main([folder.location]) == 0
    assert b"Trials that have not started: 3 of 27." in (folder.read("table.md") or b"")
    assert b"27 trials of 8 settings: " in (folder.read("report.html") or b"")


def test_a_database_that_is_not_mlflows_is_not_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table mine (x)")
    before = file.read_bytes()
    refusal(capsys, "--tracking-uri", f"sqlite:///{file}", "--experiment", "x")
    assert file.read_bytes() == before


def test_help_comes_at_once_since_nothing_heavy_is_imported_for_it() -> None:
    heavy = {"torch", "ray", "mlflow", "pyarrow", "matplotlib", "pydantic", "numpy", "rich", "ruamel"}
    output = _output_and_imports(["--help"], heavy)
    assert "RUNS_DIR" in output
    assert output.endswith("imported:\n")


@pytest.mark.slow
def test_a_report_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path)
    heavy = {"torch", "ray", "mlflow", "pandas", "scipy", "wsnet.config.trial", "wsnet.config.sweep"}
    output = _output_and_imports([folder.location], heavy)
    assert "report.html" in output
    assert output.endswith("imported:\n")


def _output_and_imports(arguments: list[str], heavy: set[str]) -> str:
    """What `analyze.py` prints, and a last line with those of the modules `heavy` that it has imported."""
    code = f"""
import atexit, runpy, sys
atexit.register(lambda: print("imported:", *{heavy} & set(sys.modules)))
sys.argv = ["analyze.py", *{arguments}]
runpy.run_path("analyze.py", run_name="__main__")
"""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
