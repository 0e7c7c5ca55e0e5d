"""`run_sweep.py stop` and `retry`: on folders as sweeps leave them, and on real sweeps that run."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from tests.sweep.tiny import alone, records, until, write
from tests.tracking.sweeps import write_sweep
from wsnet.storage import STOPPED_BY_USER, Folder, Manifest, Status, Stops, trial_directory
from wsnet.sweep.arguments import command_line, parser, recorded, write_command
from wsnet.sweep.cli import main
from wsnet.sweep.commands.sweep_status import read_status
from wsnet.tracking import default_tracking_uri, read_sweep


def conclude(folder: Folder, console: Console) -> None:
    """Reports have tests of their own."""


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments], conclude=conclude)


def states(folder: Folder) -> dict[str, str]:
    return {trial.name: trial.state for trial in read_status(folder).trials}


def status(folder: Folder, name: str) -> Status | None:
    entry = next(entry for entry in Manifest.read(folder).trials if entry.name == name)
    return trial_directory(folder, entry.trial_id).status()


def test_a_stopped_setting_stays_stopped_until_retry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = write_sweep(tmp_path)
    before = states(folder)
    names = [f"gn-b32-s{seed}" for seed in range(3)]
    assert [before[name] for name in names] == ["failed", "interrupted", "finished"]
    assert run("stop", folder.location, "gn-b32") == 0
    assert capsys.readouterr().out == (
        "gn-b32: stopped; 2 trials will not be started, 1 trial had ended before. "
        f"To take it back: python run_sweep.py retry {folder.location} gn-b32\n"
    )
    assert states(folder) == before | dict.fromkeys(names[:2], "stopped")
    assert status(folder, names[0]) == Status(status="stopped", epoch=2, message=STOPPED_BY_USER)
    assert run("status", folder.location) == 0
    listed = capsys.readouterr().out.split("\nstopped by the user:\n")[1]
    assert listed.splitlines()[:2] == [
        "  gn-b32-s0: 2 epochs done, 1.5 s per epoch",
        "  gn-b32-s1: 1 epoch done, 1.5 s per epoch",
    ]

    assert run("retry", folder.location, "gn-b32-s0") == 2, "how to run it was not recorded"
    assert "command.json does not say how the sweep was started" in capsys.readouterr().err
    assert states(folder) == before | {names[0]: "interrupted", names[1]: "stopped"}


def test_a_trial_that_was_never_started_is_stopped_without_a_folder(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path)
    assert states(folder)["on-b32-s1"] == "not started"
    assert run("stop", folder.location, "on-b32-s1") == 0
    assert states(folder)["on-b32-s1"] == "stopped" and status(folder, "on-b32-s1") is None


def test_what_has_ended_is_neither_stopped_nor_retried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, sweep = write_sweep(tmp_path)
    before = states(folder)
    finished = next(entry for entry in sweep.trials if entry.name == "bn-b32-s0")
    assert run("stop", folder.location, finished.setting_id) == 0
    assert run("retry", folder.location, finished.trial_id, "gn-b2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "bn-b32: nothing to stop, since its 3 trials have ended already"
    assert lines[1] == "bn-b32-s0, gn-b2: nothing to retry, since its trials are finished or stopped"
    assert states(folder) == before and not Stops(folder).ids()


def test_how_to_continue_is_recorded_and_shown_without_a_password(tmp_path: Path) -> None:
    uri = "postgresql://user:secret@host/db"
    words = [
        "python",
        "run_sweep.py",
        "a.yaml",
        f"--tracking-uri={uri}",
        "--set",
        "seeds=2",
        "--storage",
        "s3://key:secret@bucket",
    ]
    arguments = parser().parse_args(words[2:])
    arguments.command = command_line(words, arguments)
    assert arguments.command.startswith("python run_sweep.py a.yaml --tracking-uri=postgresql://host/db --set ")
    folder = Folder(tmp_path)
    write_command(arguments, folder)
    assert "secret" not in (folder.read("command.json") or b"").decode()
    options = recorded(folder)
    assert options["lacks_password"] and options["set"] == ["seeds=2"] and options["command"] == arguments.command
    assert options["directory"] == os.getcwd()


@pytest.mark.parametrize("command", ["stop", "retry"])
def test_an_unknown_name_is_one_line_with_the_nearest_and_status_2(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = write_sweep(tmp_path)
    assert run(command, folder.location, "gn-b4", "gn-b23") == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err == (
        f"run_sweep.py {command}: sweep 'batches' has no setting or trial 'gn-b23'; did you mean 'gn-b2'?\n"
    )
    assert not Stops(folder).ids(), "nothing is done if one of the names is wrong"
    assert run(command, tmp_path, "gn-b4") == 2
    assert "it holds no sweep.json" in capsys.readouterr().err


def test_while_a_sweep_runs_retry_starts_nothing_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, sweep = write_sweep(tmp_path)
    running = next(entry for entry in sweep.trials if entry.name == "gn-b32-s1")
    with trial_directory(folder, running.trial_id).folder.lock():
        assert run("retry", folder.location) == 0
    assert "batches: 4 trials to retry; what the running sweep has not come to yet" in capsys.readouterr().out


def in_background(condition: Callable[[], object], *commands: tuple[str | Path, ...]) -> threading.Thread:
    """Run commands of `run_sweep.py` in a thread, once a condition holds."""

    def wait() -> None:
        until(condition)
        for command in commands:
            run(*command)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def trained_epochs(folder: Folder) -> dict[str, int]:
    found = {}
    with suppress(ValueError):  # It has no manifest yet.
        for entry in Manifest.read(folder).trials:
            found[entry.name] = len(trial_directory(folder, entry.trial_id).records())
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("shared_ray")
def test_a_running_setting_ends_after_its_epoch_and_a_waiting_one_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path,
        train={"epochs": 60, "steps_per_epoch": 2},
        grid={"optim.lr": [0.1, 0.05, 0.02]},
        resources={"max_concurrent": 1},
    )
    folder, start = Folder(tmp_path / "runs" / "tiny"), (path, "--storage", tmp_path / "runs")
    thread = in_background(
        lambda: any(epochs > 3 for epochs in trained_epochs(folder).values()),
        *(("stop", folder.location, name) for name in ("lr0.1", "lr0.05")),
    )
    assert run(*start) == 0
    thread.join()
    epochs = trained_epochs(folder)
    assert 3 < epochs["lr0.1-s0"] < 60 and (epochs["lr0.05-s0"], epochs["lr0.02-s0"]) == (0, 60)
    assert status(folder, "lr0.1-s0") == Status(status="stopped", epoch=epochs["lr0.1-s0"], message=STOPPED_BY_USER)
    assert "failed" not in capsys.readouterr().out.replace("0 failed", "")

    assert run(*start) == 0
    assert "2 trials stay stopped by the user" in capsys.readouterr().out
    assert trained_epochs(folder) == epochs

    monkeypatch.chdir(tmp_path)  # Relative paths start where the sweep was started.
    assert run("retry", "runs/tiny", "lr0.1") == 0
    assert "lr0.1: retrying 1 trial\n" in capsys.readouterr().out
    assert trained_epochs(folder) == epochs | {"lr0.1-s0": 60}
    assert run("retry", folder.location) == 0
    assert "tiny: nothing to retry, since no trial has failed" in capsys.readouterr().out
    continued = next(entry for entry in Manifest.read(folder).trials if entry.name == "lr0.1-s0")
    directory = trial_directory(folder, continued.trial_id)
    assert records(directory) == alone(directory, tmp_path)
    mirrored = read_sweep(default_tracking_uri(folder), "tiny").outcomes[continued.trial_id]
    assert (mirrored.status, mirrored.record["epoch"]) == ("finished", 60)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("shared_ray")
def test_all_workers_of_a_stopped_trial_end_after_the_same_epoch(tmp_path: Path) -> None:
    epochs = 2000
    path = write(tmp_path, train={"epochs": epochs, "steps_per_epoch": 1}, resources={"workers": 2, "max_failures": 0})
    folder = Folder(tmp_path / "runs" / "tiny")
    thread = in_background(
        lambda: any(done > 3 for done in trained_epochs(folder).values()), ("stop", folder.location, "base")
    )
    assert run(path, "--storage", tmp_path / "runs") == 0
    thread.join()
    ((name, done),) = trained_epochs(folder).items()
    assert 3 < done < epochs
    assert status(folder, name) == Status(status="stopped", epoch=done, message=STOPPED_BY_USER)
