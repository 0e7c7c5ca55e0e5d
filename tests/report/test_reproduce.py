"""A trial trained again, alone, and compared bit by bit."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.sweep.tiny import write
from wsnet.config import read_sweep
from wsnet.report import ReportError
from wsnet.report.cli import main
from wsnet.report.commands.reproduce import differences, meant_trial
from wsnet.storage import Folder, TrialEntry, trial_directory
from wsnet.sweep.planning.plan import make_plan
from wsnet.training.fit import fit
from wsnet.training.trial import Trial


@pytest.mark.slow
def test_a_trial_is_trained_again_and_found_bit_equal_or_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSNET_DATA", str(tmp_path))
    path = write(tmp_path, train={"epochs": 2, "steps_per_epoch": 2})
    plan = make_plan(read_sweep(str(path), []), path.name, root=tmp_path)
    folder = Folder(str(tmp_path / "tiny"))
    plan.manifest.write(folder)
    entry, config = plan.trials[0].entry, plan.trials[0].config
    directory = trial_directory(folder, entry.trial_id)
    fit(Trial.prepare(config, root=tmp_path), report=lambda record: None, checkpoint_dir=directory.folder)
    assert main([folder.location, "--reproduce", entry.trial_id[:6]]) == 0
    assert "bit-equal in all 2 epochs" in capfd.readouterr().out
    records = directory.records()
    directory.write_records([records[0], {**records[1], "train/loss": 0.125}])
    assert main([folder.location, "--reproduce", entry.trial_id]) == 1
    assert ", not 0.125, after epoch 2" in capfd.readouterr().out
    assert main([folder.location, "--reproduce", entry.name]) == 1  # By its name, too.
    capfd.readouterr()
    directory.write_status(replace(directory.status(), status="running"))  # type: ignore[type-var]
    assert main([folder.location, "--reproduce", entry.trial_id]) == 2
    assert "has not ended yet" in capfd.readouterr().err


def test_times_do_not_make_a_difference_and_missing_epochs_do() -> None:
    one = {"epoch": 1, "train/loss": float("nan"), "time/epoch_seconds": 1.0}
    assert differences([one], [{**one, "time/epoch_seconds": 2.0}]) == []
    assert differences([one], []) == ["0 epochs, not 1"]


def test_a_trial_is_meant_by_its_name_or_its_id_and_few_names_are_suggested() -> None:
    entries = [
        TrialEntry(trial_id=f"{seed:x}" * 12, setting_id="s", seed=seed, name=f"gn-lr0.03-s{seed}", axes={})
        for seed in range(12)
    ]
    assert meant_trial("gn-lr0.03-s7", entries) == "7" * 12
    assert meant_trial("a", entries) == "a" * 12
    with pytest.raises(ReportError, match="is no trial of the sweep; the nearest names: ") as refused:
        meant_trial("gn-lr0.03-s99", entries)
    assert str(refused.value).partition("nearest names: ")[2].count("gn-lr") == 5
    assert "0" * 12 not in str(refused.value)
