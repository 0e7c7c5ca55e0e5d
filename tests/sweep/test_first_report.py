"""Seeds that are added after a report, from the command to the verdict."""

from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import write
from tests.tracking.stores import new_store
from wsnet.config import read_sweep
from wsnet.report import conclude, read_directory, read_mlflow
from wsnet.report.pivot import pivot
from wsnet.report.verdicts import Verdicts, verdicts
from wsnet.storage import Folder, Manifest, Status, trial_directory
from wsnet.sweep.cli import main
from wsnet.sweep.planning.plan import make_plan
from wsnet.tracking import default_tracking_uri

COMPARED: dict[str, Any] = {
    "cases": [{"model.norm.name": "batch"}, {"model.norm.name": "layer"}],
    "report": {"compare": {"against": {"model.norm.name": "batch"}}},
}


def run(path: Path, tmp_path: Path) -> Folder:
    """Run a sweep whose trials have been trained already: layer norm has the lower errors."""
    plan = make_plan(read_sweep(str(path), []), path.name, root=tmp_path)
    folder = Folder(str(tmp_path / "runs" / "tiny"))
    new_store(folder)
    for trial in plan.trials:
        directory, error = trial_directory(folder, trial.entry.trial_id), 9.0 - 4 * ("layer" in str(trial.entry.axes))
        if directory.status() is None:
            values = {"train/loss": 1.0, "validation/top1_error": error, "test/top1_error": error + trial.entry.seed}
            directory.write_records([{"epoch": epoch, **values} for epoch in (1, 2)])
            directory.write_status(Status(status="finished", epoch=2))
    assert main([str(path), "--storage", str(tmp_path / "runs")], conclude=conclude) == 0
    return folder


def both(folder: Folder) -> Verdicts:
    """The verdicts, which are the same from the folder and from MLflow."""
    directory, mlflow = read_directory(folder), read_mlflow(default_tracking_uri(folder), "tiny")
    assert directory.header == mlflow.header
    found = verdicts(directory, pivot(directory))
    assert found == verdicts(mlflow, pivot(mlflow))
    return found


@pytest.mark.slow
def test_seeds_added_after_a_report_take_its_verdicts_the_p_values(tmp_path: Path) -> None:
    folder = run(write(tmp_path, seeds=4, **COMPARED), tmp_path)
    (first,) = both(folder).verdicts
    assert first.text == (
        "layer beats batch: 4 of 4 seeds better than all of batch, difference 4.00 points [1.00, 7.00] "
        "(97.1 % interval), p = 0.029."
    )
    folder = run(write(tmp_path, seeds=6, **COMPARED), tmp_path)
    assert Manifest.read(folder).report["after_report"]["seeds"] == [4, 5]
    (later,) = both(folder).verdicts
    assert later.p is None and later.text.endswith("no p-value since seeds 4, 5 were added after a report was drawn.")
    folder = run(write(tmp_path, seeds=4, **COMPARED), tmp_path)  # As it was declared.
    assert both(folder).verdicts == (first,)
