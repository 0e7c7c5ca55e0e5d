"""One report, whether it is read from the directories or from MLflow."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tracking.stores import mirror, mirrored_copy, mirrored_sweep
from tests.tracking.sweeps import BATCH_SIZES, manifest, write_sweep
from wsnet.report import Results, read_directory, read_mlflow, write_report
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.tracking import default_tracking_uri

pytestmark = pytest.mark.slow  # MLflow takes seconds to import and to set up its database.


def from_mlflow(folder: Folder, sweep: Manifest) -> Results:
    """Mirror, then read what was mirrored."""
    return read_mlflow(mirror(folder, sweep), sweep.name)


def trial_ids(results: Results) -> list[str]:
    return [trial.trial_id for trial in results.trials]


def assert_same(directory: Results, mlflow: Results, tmp_path: Path) -> None:
    """Compare what is written, byte by byte."""
    write_report(directory, tmp_path / "directory")
    write_report(mlflow, tmp_path / "mlflow")
    for name in ("table.md", "table.csv", "trials.csv"):
        assert (tmp_path / "directory" / name).read_bytes() == (tmp_path / "mlflow" / name).read_bytes(), name


@pytest.mark.parametrize("metric", [None, "validation/top1_error", "train/loss"])
def test_both_give_the_same_bytes_however_trials_ended(tmp_path: Path, metric: str | None) -> None:
    folder, sweep = mirrored_sweep()
    directory, mlflow = read_directory(folder), read_mlflow(default_tracking_uri(folder), sweep.name)
    if metric is not None:
        directory, mlflow = directory.with_metric(metric), mlflow.with_metric(metric)
    assert directory.header == mlflow.header
    assert directory.metrics == mlflow.metrics
    assert [replace(trial, metrics={}) for trial in directory.trials] == [
        replace(trial, metrics={}) for trial in mlflow.trials
    ]
    assert_same(directory, mlflow, tmp_path)


def test_both_split_rows_in_the_same_way(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path, manifest(rows=("model.weight",), seeds=1))
    assert_same(read_directory(folder), from_mlflow(folder, sweep), tmp_path)
    assert "split by model.norm.name" not in (tmp_path / "mlflow" / "table.md").read_text()
    folder, sweep = write_sweep(tmp_path / "2", manifest(rows=(), seeds=1))
    assert_same(read_directory(folder), from_mlflow(folder, sweep), tmp_path)
    assert "split by model.norm.name" in (tmp_path / "mlflow" / "table.md").read_text()


def test_both_choose_the_same_learning_rates(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path, manifest(rates=(1e-3, 1e-2), batch_sizes=BATCH_SIZES[:2]))
    directory, mlflow = read_directory(folder), from_mlflow(folder, sweep)
    assert directory.header == mlflow.header
    assert directory.header.select is not None and directory.header.settings == 12
    assert_same(directory, mlflow, tmp_path)
    assert "15.80 [15.14, 16.13] at lr=0.01 |" in (tmp_path / "mlflow" / "table.md").read_text()


def test_a_cell_that_mixes_compiled_and_eager_trials_is_marked_in_both(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path, manifest(batch_sizes=BATCH_SIZES[:1]))
    for entry in sweep.trials:
        is_compiled = entry.seed < 2 or entry.axes["model.norm.name"] != "batch"
        trial_directory(folder, entry.trial_id).write_execution({"compile": is_compiled})
    assert_same(read_directory(folder), from_mlflow(folder, sweep), tmp_path)
    table = (tmp_path / "mlflow" / "table.md").read_text()
    assert table.count("(2 of 3 compiled)") == table.count(" compiled)") == 1
    assert "the others are eager: their rounding differs" in table


def test_a_trial_of_several_places_stands_at_each_in_both(tmp_path: Path) -> None:
    plain = manifest(seeds=1)
    first = plain.trials[-1]
    also = replace(first, also=[{**first.axes, "train.batch_size": 64}])
    folder, sweep = write_sweep(tmp_path, replace(plain, trials=[*plain.trials[:-1], also]))
    directory, mlflow = read_directory(folder), from_mlflow(folder, sweep)
    assert trial_ids(directory).count(first.trial_id) == 2
    assert "64" in directory.header.column_values and directory.header == mlflow.header
    assert_same(directory, mlflow, tmp_path)
    plain.write(folder)  # Later the sweep has it at one place only.
    assert_same(read_directory(folder), from_mlflow(folder, plain), tmp_path)
    assert trial_ids(read_directory(folder)).count(first.trial_id) == 1


def test_trials_that_left_the_sweep_are_in_neither(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    fewer = Manifest(**{**vars(sweep), "trials": sweep.trials[2:][::-1]})
    fewer.write(folder)
    directory = read_directory(folder)
    assert_same(directory, from_mlflow(folder, fewer), tmp_path)
    assert not {entry.trial_id for entry in sweep.trials[:2]} & set(trial_ids(directory))


def test_a_sweep_in_which_nothing_has_started_is_reported_as_such(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path / "sweep"), manifest()
    sweep.write(folder)
    assert_same(read_directory(folder), from_mlflow(folder, sweep), tmp_path)
    assert "No trial has started yet." in (tmp_path / "mlflow" / "table.md").read_text()
