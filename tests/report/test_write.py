"""The files of a report, and the table on a terminal."""

import csv
import io
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import fs
from rich.console import Console

from tests.report.test_cli import FILES
from tests.tracking.sweeps import manifest, train, write_sweep
from wsnet.report import print_table, read_directory, write_report
from wsnet.report.figures import figures, render
from wsnet.report.tables.csv_files import table_csv, trials_csv
from wsnet.report.tables.markdown import markdown
from wsnet.report.tables.pivot import pivot
from wsnet.report.tables.table import tabulate
from wsnet.storage import Folder, trial_directory


def test_the_table_says_what_is_asked_and_how_each_cell_came_about(tmp_path: Path) -> None:
    results = read_directory(write_sweep(tmp_path)[0])
    lines = markdown(tabulate(results)[0]).splitlines()
    assert lines[0] == r"**Which norm \| holds when the batch gets small?**"
    assert "median [lowest, highest] over 3 seeds" in lines[2]
    assert "4 crashed, 1 unfinished, 3 stopped early" in lines[2]
    assert lines[4] == "| model.norm.name | 2 | 4 | 32 |"
    assert lines[6] == "| batch | diverged [14.61, diverged] | 15.35 [14.36, diverged] | 14.80 [14.14, 15.13] |"
    assert lines[7] == "| group | stopped at 1 (validation 38.49 [37.83, 38.82]) | – (3 crashed) | 17.13 n=1 of 3 |"  # noqa: RUF001
    assert "2/2^3 = 0.25" in lines[-1]


def test_the_cells_file_has_every_axis_of_a_cell(tmp_path: Path) -> None:
    results = read_directory(write_sweep(tmp_path)[0])
    rows = list(csv.DictReader(io.StringIO(table_csv(results, pivot(results)))))
    assert list(rows[0]) == [*results.header.axes, "n", "median", "low", "high"]
    by_name = {(row["model.norm.name"], row["train.batch_size"]): row for row in rows}
    assert by_name["batch", "2"]["median"] == by_name["batch", "4"]["high"] == "diverged"
    assert (by_name["group", "2"]["n"], by_name["group", "2"]["median"]) == ("0", "")
    assert by_name["online", "2"]["optim.milestones"] == "[30, 60]"
    assert by_name["batch", "2"]["model.norm.groups"] == ""


def test_the_trials_file_keeps_every_digit(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    rows = {row["trial_id"]: row for row in csv.DictReader(io.StringIO(trials_csv(read_directory(folder))))}
    assert list(rows) == sorted(rows)
    assert not any("time/" in name for name in next(iter(rows.values())))
    for entry in sweep.trials:
        directory = trial_directory(folder, entry.trial_id)
        records, status = directory.records(), directory.status()
        assert (entry.trial_id in rows) == (status is not None)
        if status is None or not records:
            continue
        row = rows[entry.trial_id]
        assert (row["status"], row["seed"], row["epoch"]) == (status.status, str(entry.seed), str(records[-1]["epoch"]))
        value = records[-1]["train/loss"]
        assert float(row["train/loss"]) == value or (math.isnan(value) and row["train/loss"] == "nan")


def test_a_report_is_written_into_any_folder(tmp_path: Path) -> None:
    results = read_directory(write_sweep(tmp_path)[0])
    remote = Folder("out", filesystem=fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
    (tmp_path / "out").mkdir()
    paths = write_report(results, remote)
    assert set(paths) == {f"out/{name}" for name in (*FILES, "figure-strip.png", "figure-rungs.png")}
    assert (tmp_path / "out" / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_that_is_no_longer_drawn_does_not_stay(tmp_path: Path) -> None:
    results = read_directory(write_sweep(tmp_path)[0])
    (tmp_path / "figure-scatter.png").write_bytes(b"of an earlier report")
    write_report(results, tmp_path)
    assert not (tmp_path / "figure-scatter.png").exists() and (tmp_path / "figure-strip.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["train.batch_size", "optim.lr", "model.norm.groups", None])
def test_a_figure_is_drawn_whatever_the_columns_are(tmp_path: Path, columns: str | None) -> None:
    sweep = manifest(seeds=2)
    sweep.report["columns"] = columns
    results = read_directory(write_sweep(tmp_path, sweep)[0])
    assert render(figures(results, pivot(results))["figure"](), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [30, 50, 120])
def test_the_table_is_legible_on_any_terminal(tmp_path: Path, width: int) -> None:
    results = read_directory(write_sweep(tmp_path)[0])
    stream = io.StringIO()
    print_table(results, Console(file=stream, width=width))
    text = stream.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    for cell in ("14.80 [14.14, 15.13]", "15.35 [14.36, diverged]", "17.13 n=1"):
        assert cell in " ".join(text.split())
    assert "…" not in text


def test_one_seed_is_a_plain_value(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path), manifest(seeds=1)
    sweep.write(folder)
    train(folder, sweep.trials[0])
    results = read_directory(folder)
    assert "| batch | 14.14 |" in markdown(tabulate(results)[0])


@pytest.mark.slow
def test_importing_report_imports_neither_torch_nor_ray() -> None:
    code = "import sys; from wsnet.report import *; import wsnet.report.cli, wsnet.report.figures\n"
    code += "print({'torch', 'ray', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_label_with_dollar_signs_and_braces_is_drawn_as_it_is(tmp_path: Path) -> None:
    sweep = replace(manifest(), question=r"Is $\frac{1}{ better than $2^ ?")
    folder, _ = write_sweep(tmp_path, sweep)
    results = read_directory(folder)
    assert render(figures(results, pivot(results))["figure"](), "png").startswith(b"\x89PNG")


def test_tables_are_written_even_if_the_figure_can_not_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> bytes:
        raise RuntimeError("no figure")

    monkeypatch.setattr("wsnet.report.write.figures", fails)
    results = read_directory(write_sweep(tmp_path)[0])
    with pytest.raises(RuntimeError):
        write_report(results, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.md", "table.csv", "table.tex", "trials.csv"}


def test_a_trial_with_damaged_files_is_counted_and_no_value(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    finished = next(
        trial_directory(folder, entry.trial_id)
        for entry in sweep.trials
        if (outcome := trial_directory(folder, entry.trial_id).outcome()) is not None and outcome.status == "finished"
    )
    records = finished.folder.read("records.jsonl") or b""
    finished.folder.write("records.jsonl", records[: records.rstrip().rfind(b"\n") + 1])
    results = read_directory(folder)
    assert "1 damaged" in markdown(tabulate(results)[0])
