"""Sweeps in processes of their own, which tests kill, interrupt or start twice."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.sweep.tiny import alone, command, environment, kill, processes, records, until, write
from wsnet.storage import Folder, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.tracking.client import connect
from wsnet.tracking.tags import TRIAL_ID

__all__ = [
    "EPOCHS",
    "Undisturbed",
    "arguments",
    "assert_each_has_one_run",
    "assert_whole",
    "epochs",
    "started",
    "sweep_file",
    "trials",
    "under_way",
]

EPOCHS = 50
"""Enough to be caught in the middle."""


def sweep_file(tmp_path: Path, **changes: Any) -> Path:
    """Two trials, one after the other: a second actor takes seconds to start and would do the same."""
    return write(
        tmp_path,
        **{
            "train": {"epochs": EPOCHS, "steps_per_epoch": 2},
            "grid": {"optim.lr": [0.1, 0.05]},
            "resources": {"max_concurrent": 1},
            **changes,
        },
    )


def arguments(tmp_path: Path, *options: str, **changes: Any) -> list[str]:
    """The command of such a sweep."""
    return command(sweep_file(tmp_path, **changes), "--storage", tmp_path / "runs", *options)


@contextmanager
def started(tmp_path: Path, *options: str, **changes: Any) -> Iterator[subprocess.Popen[str]]:
    """A sweep in a process group of its own, as a shell starts it."""
    process = subprocess.Popen(
        arguments(tmp_path, *options, **changes),
        env={**environment(), "WSNET_TEST_MARK": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        for left in processes(tmp_path):  # A killed driver leaves its Ray behind, which would slow down other tests.
            with suppress(ProcessLookupError):
                kill(left)


def trials(tmp_path: Path) -> Path:
    """The folder of the trials' folders."""
    return tmp_path / "runs" / "tiny" / "trials"


def epochs(tmp_path: Path) -> int:
    """Epochs done so far, of all trials."""
    return sum(file.read_bytes().count(b"\n") for file in trials(tmp_path).glob("*/records.jsonl"))


def under_way(tmp_path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until it is in the middle."""
    until(lambda: epochs(tmp_path) >= 10, process=process)


Undisturbed = dict[str, list[Record]]


def assert_whole(tmp_path: Path, undisturbed: Undisturbed, count: int = 2) -> None:
    """Every trial is finished, with the records of an undisturbed run."""
    folders = list(trials(tmp_path).iterdir())
    assert len(folders) == count
    for folder in folders:
        directory = TrialDirectory(Folder(folder))
        status = directory.status()
        assert status is not None and (status.status, status.epoch) == ("finished", EPOCHS)
        if folder.name not in undisturbed:
            undisturbed[folder.name] = alone(directory, tmp_path)
        assert records(directory) == undisturbed[folder.name]


def assert_each_has_one_run(tmp_path: Path) -> None:
    """Every trial has exactly one run in MLflow, and it is finished."""
    from mlflow.entities import ViewType  # Takes a second.

    client = connect(f"sqlite:///{trials(tmp_path).parent}/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "tiny"]
    of_trials = "tags.`wsnet.kind` = 'trial'"
    runs = client.search_runs([experiment.experiment_id], of_trials, run_view_type=ViewType.ALL)
    assert sorted(run.data.tags[TRIAL_ID] for run in runs) == sorted(
        folder.name for folder in trials(tmp_path).iterdir()
    )
    assert {run.info.status for run in runs} == {"FINISHED"}
