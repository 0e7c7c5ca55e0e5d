"""Seeds that are added after a report, from the command to the verdict."""

from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import write
from tests.sweep.trained import run_trained
from wsnet.report import read_directory, read_mlflow
from wsnet.report.tables.pivot import pivot
from wsnet.report.verdicts.judge import Verdicts, verdicts
from wsnet.storage import Folder, Manifest, describe_changes
from wsnet.tracking import default_tracking_uri

COMPARED: dict[str, Any] = {
    "cases": [{"model.norm.name": "batch"}, {"model.norm.name": "layer"}],
    "report": {"compare": {"against": {"model.norm.name": "batch"}}},
}


def both(folder: Folder) -> Verdicts:
    """The verdicts, which are the same from the folder and from MLflow."""
    directory, mlflow = read_directory(folder), read_mlflow(default_tracking_uri(folder), "tiny")
    assert directory.header == mlflow.header
    found = verdicts(directory, pivot(directory))
    assert found == verdicts(mlflow, pivot(mlflow))
    return found


@pytest.mark.slow
def test_seeds_added_after_a_report_take_its_verdicts_the_p_values(tmp_path: Path) -> None:
    folder = run_trained(write(tmp_path, seeds=4, **COMPARED), tmp_path)
    (first,) = both(folder).verdicts
    assert first.text == (
        "LayerNorm beats BatchNorm: 4 of 4 seeds better than all of BatchNorm, difference 4.00 points [1.00, 7.00] "
        "(97.1 % interval), p = 0.029."
    )
    folder = run_trained(write(tmp_path, seeds=6, **COMPARED), tmp_path)
    assert Manifest.read(folder).report["after_report"]["seeds"] == [4, 5]
    (later,) = both(folder).verdicts
    told = describe_changes(Manifest.read(folder))
    assert told is not None and "so with new seeds 4, 5 no comparison has a p-value" in told
    assert later.p is None and later.text.endswith("no p-value since seeds 4, 5 were added after a report was drawn.")
    folder = run_trained(write(tmp_path, seeds=4, **COMPARED), tmp_path)  # As it was declared.
    assert both(folder).verdicts == (first,) and describe_changes(Manifest.read(folder)) is None
