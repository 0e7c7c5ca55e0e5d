"""`python analyze.py RUNS_DIR --layers`."""

import csv
import json
import math
from pathlib import Path

import pytest

from tests.report.test_cli import refusal
from tests.tracking.stores import mirror
from tests.tracking.sweeps import manifest, train
from wsnet.report.cli import main
from wsnet.report.figures.layers import MOST_ROWS, layers_png
from wsnet.report.layers import read_layers
from wsnet.report.sources.read import read_directory, read_mlflow
from wsnet.storage import Folder, Manifest, TrialDirectory, trial_directory
from wsnet.storage.trial_directory import Record
from wsnet.tracking.client import connect

PNG = b"\x89PNG"


def measured(records: list[Record], scale: float) -> list[Record]:
    """Records with measurements of two layers; the last epoch's variance is not finite."""
    layers = {"layers/bn1/activation_variance": 0.1, "layers/layer1.0.bn1/activation_variance": 0.2}
    return [
        record
        | {key: scale * value * record["epoch"] for key, value in layers.items()}
        | {"layers/fc/gradient_norm": math.nan if record["epoch"] == 3 else scale}
        for record in records
    ]


def write_measured(folder: Folder, sweep: Manifest) -> None:
    """A sweep all of whose trials have measured their layers."""
    sweep.write(folder)
    for entry in sweep.trials:
        train(folder, entry)
        directory = trial_directory(folder, entry.trial_id)
        directory.write_records(measured(directory.records(), 1.0 + entry.seed))


@pytest.mark.slow
def test_a_sweep_gets_a_picture_and_a_table_of_medians(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder(tmp_path / "batches")
    write_measured(folder, manifest())
    assert main([folder.location, "--layers"]) == 0
    output = capsys.readouterr().out
    assert f"layers.png shows the first {MOST_ROWS} of 9 settings; layers.csv has them all" in output
    assert (folder.read("layers.png") or b"").startswith(PNG)
    rows = list(csv.DictReader((folder.read("layers.csv") or b"").decode().splitlines()))
    assert len(rows) == 9 * 3 * 3
    assert rows[3] == {
        "setting_id": manifest().trials[0].setting_id,
        "setting": "batch, batch_size=32, lr=0.001",
        "quantity": "activation_variance",
        "layer": "bn1",
        "depth": "0",
        "epoch": "2",
        "n": "3",
        "median": "0.4",
    }
    assert [row["median"] for row in rows[:9] if row["quantity"] == "gradient_norm"] == ["2", "2", "inf"]


@pytest.mark.slow
def test_trials_that_were_trained_alone_are_drawn_by_their_folders_names(tmp_path: Path) -> None:
    for name in ("b", "a", "unmeasured"):
        records: list[Record] = [{"epoch": epoch, "lr": 0.1} for epoch in (1, 2)]
        TrialDirectory(Folder(tmp_path / name)).write_records(
            records if name == "unmeasured" else measured(records, 1.0)
        )
    assert main([str(tmp_path), "--layers"]) == 0
    assert (tmp_path / "layers.png").read_bytes().startswith(PNG)
    assert [setting.label for setting in read_layers(Folder(tmp_path))] == ["a", "b"]
    assert main([str(tmp_path / "a"), "--layers"]) == 0
    assert (tmp_path / "a" / "layers.csv").exists()


def test_any_set_of_quantities_can_be_drawn(tmp_path: Path) -> None:
    for name, layer in (("a", {"layers/x/new_quantity": 0.0}), ("b", {"layers/fc/gradient_norm": math.nan})):
        TrialDirectory(Folder(tmp_path / name)).write_records([{"epoch": 1, **layer}])
    assert layers_png(read_layers(Folder(tmp_path))).startswith(PNG)


def test_a_sweep_without_measurements_is_told_which_option_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, sweep = Folder(tmp_path / "batches"), manifest(seeds=1)
    sweep.write(folder)
    train(folder, sweep.trials[0])
    assert "train with train.diagnostics: true" in refusal(capsys, folder.location, "--layers")
    assert "--layers needs RUNS_DIR" in refusal(capsys, "--layers", "--tracking-uri", "x", "--experiment", "y")
    alone = folder / "trials"
    assert "--metric needs a sweep" in refusal(capsys, alone.location, "--layers", "--metric", "train/loss")
    assert "is absent or empty" in refusal(capsys, str(tmp_path / "nowhere"), "--layers")


@pytest.mark.slow
def test_layers_stay_in_the_directory_and_tables_are_the_same_from_mlflow(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path / "batches"), manifest(seeds=1)
    write_measured(folder, sweep)
    uri = mirror(folder, sweep)
    assert read_mlflow(uri, sweep.name) == read_directory(folder)
    client = connect(uri)
    experiment = client.get_experiment_by_name(sweep.name)
    runs = client.search_runs([experiment.experiment_id], "tags.`wsnet.kind` = 'trial'")
    assert len(runs) == 9
    assert "layers" not in json.dumps([list(run.data.metrics) for run in runs])
    assert "layers" not in " ".join(read_directory(folder).metrics)
