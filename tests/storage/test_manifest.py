"""A sweep's manifest."""

from pathlib import Path

import pytest

from wsnet.storage import Folder, Manifest, StorageError, TrialEntry, trial_directory

MANIFEST = Manifest(
    name="small",
    question="Why?",
    report={"rows": ["model.norm.name"], "columns": None, "metric": "test/top1_error", "statistic": "median"},
    axes=["model.norm.name", "optim.betas"],
    trials=[
        TrialEntry(trial_id="t", setting_id="s", seed=0, name="batch-s0", axes={"model.norm.name": "batch"}),
        TrialEntry(trial_id="u", setting_id="v", seed=1, name="adam-s1", axes={"optim.betas": [0.9, 0.99]}),
    ],
)


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    MANIFEST.write(Folder(tmp_path))
    assert Manifest.read(Folder(tmp_path)) == MANIFEST


def test_a_folder_without_a_sweep_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"it holds no sweep\.json; give a folder that run_sweep\.py wrote"):
        Manifest.read(Folder(tmp_path / "alone" / "empty"))


_EMPTY = b'{"name": "x", "question": "", "report": {}, "axes": [], "trials": '


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Expecting value"),
        (b"[]", "it must be a mapping, but is \\[\\]"),
        (b"{}", "it has no name, question, report, axes, trials"),
        (_EMPTY + b"[{}]}", "a trial has no trial_id, setting_id, seed, name, axes"),
        (_EMPTY + b"[7]}", "a trial must be a mapping, but is 7"),
        (_EMPTY + b"7}", "not iterable"),
        (_EMPTY + b'[], "later": 1}', "it has the unknown later"),
    ],
)
def test_a_file_that_is_no_manifest_is_told(text: bytes, reason: str, tmp_path: Path) -> None:
    Folder(tmp_path).write("sweep.json", text)
    with pytest.raises(StorageError, match=rf"sweep\.json is not a sweep's manifest: .*{reason}.*writes it anew"):
        Manifest.read(Folder(tmp_path))


def test_a_trial_lies_below_its_sweep(tmp_path: Path) -> None:
    assert trial_directory(Folder(tmp_path), "abc").folder.local == tmp_path / "trials" / "abc"
