"""More epochs than before: which trials continue, to the same bits, and which start anew."""

from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import alone, records, train, write
from wsnet.report import conclude
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.sweep.cli import main
from wsnet.sweep.cluster.ray_session import Session

CASES: list[dict[str, Any]] = [
    {"optim.schedule": {"name": "constant", "warmup_epochs": 1}},
    {"optim.schedule": {"name": "multistep", "milestones": [1, 3]}, "train.keep": "best"},
    {"optim.schedule": {"name": "cosine"}},
]


@pytest.mark.slow
def test_trials_whose_learning_rates_do_not_depend_on_the_epochs_continue(
    tmp_path: Path, shared_ray: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, cases=CASES)
    train(path, tmp_path / "runs")
    folder = Folder(str(tmp_path / "runs" / "tiny"))
    short = {entry.name: trial_directory(folder, entry.trial_id) for entry in Manifest.read(folder).trials}
    command = [str(path), "--storage", str(tmp_path / "runs"), "--set", "train.epochs=4"]
    continues, anew = "2 trials {} where shorter ones ended, after epoch 2.", "1 trial would start anew although there"
    assert main([*command, "--dry-run"], conclude=conclude) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert continues.format("would continue") in said and anew in said and "schedule cosine" in said
    assert main(command, conclude=conclude) == 0
    assert continues.format("continue") in " ".join(capsys.readouterr().out.split())
    for entry in Manifest.read(folder).trials:
        directory, schedule = trial_directory(folder, entry.trial_id), entry.axes["optim.schedule"]["name"]
        assert records(directory) == alone(directory, tmp_path) and len(records(directory)) == 4
        # The times of the first epochs are those of the shorter trial, unless they were trained again.
        assert (directory.records()[:2] == short[entry.name].records()) == (schedule != "cosine")
        assert directory.folder.exists("best.pt") == (schedule == "multistep")
    assert main([*command, "--dry-run"], conclude=conclude) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "every trial is done already" in said and "shorter" not in said
