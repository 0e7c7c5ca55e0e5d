"""The mirror into W&B: offline, whose files are read back, and online, into a server of the tests'."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tracking.sweeps import manifest, train, write_sweep
from tests.tracking.wandb_files import offline_runs
from tests.tracking.wandb_server import ServedRun, served
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.tracking import Mirror, TrackingError, WandB, upload_report, wandb_project
from wsnet.tracking.wandb_client import reason

KEY = "0" * 40


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, keys and caches of the user's."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "wandb-home" / name.lower()))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", KEY)


def tracker(folder: Folder, sweep: Manifest) -> WandB:
    return WandB(folder, sweep, wandb_project("p", folder), revision="abc")


def mirrored(folder: Folder, sweep: Manifest) -> WandB:
    """Mirror until done."""
    made = tracker(folder, sweep)
    mirror = Mirror(folder, sweep, made)
    assert mirror.close(60) == [], mirror.trouble
    left(made)
    return made


def left(made: WandB) -> None:
    """Wait until the mirror has left the tracker."""
    with made:
        pass


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def small(seeds: int = 1) -> Manifest:
    return manifest(seeds=seeds, batch_sizes=[4])


def epochs(history: list[dict[str, float]]) -> list[float]:
    assert all(step["_step"] == step["epoch"] for step in history)
    return [step["epoch"] for step in history]


def files(folder: Folder) -> Path:
    assert folder.local is not None
    return folder.local / "wandb"


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_offline_there_is_a_file_for_each_trial_that_has_ended(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    mirrored(folder, sweep)
    runs = offline_runs(files(folder))
    statuses = {entry.trial_id: trial_directory(folder, entry.trial_id).status() for entry in sweep.trials}
    assert set(runs) == {name for name, status in statuses.items() if status and status.status != "running"}
    assert {(run.summary["status"], run.exit_code) for run in runs.values()} == {
        ("finished", 0),
        ("stopped", 0),
        ("diverged", 1),
        ("failed", 1),
    }
    entry = sweep.trials[-1]
    run, records = runs[entry.trial_id], trial_directory(folder, entry.trial_id).records()
    assert (run.name, run.group, run.job_type, run.project, run.tags) == (
        "on-b4-s2",
        "on-b4",
        "trial",
        "p",
        ["batches"],
    )
    assert run.config["optim"] == {"lr": 1e-3, "milestones": [30, 60]}
    assert run.config["varied"]["model"] == {"norm": {"name": "online"}, "weight": "standardized"}
    assert run.config["wsnet"]["revision"] == "abc"
    assert epochs(run.history) == [1, 2, 3]
    for step, record in zip(run.history, records, strict=True):
        assert {key: step[key] for key in record} == pytest.approx(record)
    assert run.summary["test/top1_error"] == pytest.approx(records[-1]["test/top1_error"])


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_second_start_writes_only_what_has_changed(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path / "s"), small()
    first, second, third = sweep.trials
    train(folder, first)
    train(folder, second, "failed", 1)
    mirrored(folder, sweep)
    before = {path.name for path in files(folder).iterdir()}
    made = mirrored(folder, sweep)
    assert {path.name for path in files(folder).iterdir()} == before
    assert made.lines() == [f"Upload to W&B: wandb sync {files(folder)}"]
    train(folder, second)
    train(folder, third)
    mirrored(folder, sweep)
    runs = offline_runs(files(folder))
    assert [epochs(run.history) for run in runs.values()] == [[1, 2, 3]] * 3
    assert set(runs) == {first.trial_id, second.trial_id, third.trial_id}
    assert {run.summary["status"] for run in runs.values()} == {"finished"}
    assert {path.name for path in files(folder).iterdir() if first.trial_id in path.name} < before


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_what_wandb_sync_has_uploaded_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sweep, runs = Folder(tmp_path / "s"), small(), dict[str, ServedRun]()
    entry = sweep.trials[0]

    def sync() -> list[str]:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", address)
        monkeypatch.delenv("WANDB_MODE")
        command = [sys.executable, "-m", "wandb", "sync", str(files(folder))]
        subprocess.run(command, check=True, capture_output=True)
        monkeypatch.setenv("WANDB_MODE", "offline")
        return tracker(folder, sweep).lines()

    with served(runs) as address:
        train(folder, entry, "failed", 1)
        assert mirrored(folder, sweep).lines() != []
        assert sync() == []
        train(folder, entry, "failed", 2)
        mirrored(folder, sweep)
        train(folder, entry)  # Once more before the upload: the second file is written again.
        mirrored(folder, sweep)
        assert len(list(files(folder).iterdir())) == 2
        assert sync() == []
        other = Manifest(**{**vars(sweep), "name": "renamed"})
        mirrored(folder, other)
        assert sync() == []
    run = runs[entry.trial_id]
    assert epochs(run.history) == [1, 2, 3] and run.exit_code == 0
    assert run.summary["status"] == "finished" and run.shown["tags"] == ["renamed"]


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_run_whose_writing_was_cut_off_is_written_again(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path / "s"), small()
    train(folder, sweep.trials[0])
    mirrored(folder, sweep)
    (run,) = files(folder).iterdir()
    (file,) = run.glob("*.wandb")
    file.write_bytes(file.read_bytes()[:200])
    folder.delete("wandb.jsonl")  # The upload is noted last.
    mirrored(folder, sweep)
    (again,) = offline_runs(files(folder)).values()
    assert epochs(again.history) == [1, 2, 3] and again.exit_code == 0


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_the_report_is_a_run_with_its_files_and_is_written_once(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path / "s"), small()
    folder.write("table.md", b"first")
    folder.write("report.html", b"<p>")
    made = tracker(folder, sweep)
    for _ in range(2):
        assert upload_report(made, ["report.html", "table.md"]) is None
        (run,) = offline_runs(files(folder)).values()
        assert (run.run_id, run.job_type, run.exit_code) == ("report-batches", "report", 0)
        assert sorted(run.files) == ["report.html", "table.md"]
    (before,) = files(folder).iterdir()
    assert (before / "files" / "table.md").read_bytes() == b"first"
    folder.write("table.md", b"second")
    assert upload_report(made, ["report.html", "table.md"]) is None
    (after,) = files(folder).iterdir()
    assert (after / "files" / "table.md").read_bytes() == b"second"


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_online_a_run_grows_while_its_trial_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sweep, runs = Folder(tmp_path / "s"), small(), dict[str, ServedRun]()
    entry = sweep.trials[0]
    with served(runs) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        train(folder, entry, "running", 1)
        made = tracker(folder, sweep)
        mirror = Mirror(folder, sweep, made)
        until(lambda: entry.trial_id in runs)
        train(folder, entry, "running", 2)
        mirror.changed(entry.trial_id)
        train(folder, entry)
        mirror.changed(entry.trial_id)
        assert mirror.close(60) == [], mirror.trouble
        left(made)
    run = runs[entry.trial_id]
    assert epochs(run.history) == [1, 2, 3]
    assert (run.exit_code, run.opened, run.summary["status"]) == (0, 1, "finished")
    assert (run.shown["groupName"], run.shown["jobType"], run.shown["displayName"]) == ("bn-b4", "trial", "bn-b4-s0")
    assert made.lines() == [f"Compare runs in W&B: {address}/me/p"]
    assert not files(folder).exists(), "the server has everything"


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_online_a_trial_that_was_interrupted_goes_on_in_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sweep, runs = Folder(tmp_path / "s"), small(), dict[str, ServedRun]()
    entry = sweep.trials[0]
    with served(runs) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        train(folder, entry, "running", 2)
        mirrored(folder, sweep)
        assert epochs(runs[entry.trial_id].history) == [1, 2] and runs[entry.trial_id].exit_code == 1
        train(folder, entry)
        mirrored(folder, sweep)
        folder.delete("wandb.jsonl")  # As after a kill just before the upload was noted.
        mirrored(folder, sweep)
    assert epochs(runs[entry.trial_id].history) == [1, 2, 3] and runs[entry.trial_id].exit_code == 0
    assert list(runs) == [entry.trial_id]


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_a_server_that_is_down_holds_nobody_up_and_gets_everything_from_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sweep, runs = Folder(tmp_path / "s"), small(), dict[str, ServedRun]()
    for entry in sweep.trials:
        train(folder, entry)
    with served({}) as address:
        port = int(address.rpartition(":")[2])
    monkeypatch.setenv("WANDB_BASE_URL", address)
    monkeypatch.setattr("wsnet.tracking.wandb_client._SECONDS", 2.0)
    mirror = Mirror(folder, sweep, made := tracker(folder, sweep))
    until(lambda: mirror.trouble is not None)
    assert mirror.trouble == f"W&B at {address} cannot be reached; 3 trials wait"
    start = time.monotonic()
    assert mirror.close(3.0) == sorted(entry.trial_id for entry in sweep.trials)
    assert time.monotonic() - start < 9
    left(made)
    with served(runs, port):
        mirrored(folder, sweep)
    assert set(runs) == {entry.trial_id for entry in sweep.trials}
    assert [epochs(run.history) for run in runs.values()] == [[1, 2, 3]] * 3


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_wandbs_service_dies_with_a_killed_driver(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from tests.tracking.sweeps import train
from tests.tracking.test_wandb import small, tracker
from wsnet.storage import Folder
from wsnet.tracking import Mirror
folder, sweep = Folder({str(tmp_path / "s")!r}), small()
train(folder, sweep.trials[0])
made = tracker(folder, sweep)
mirror = Mirror(folder, sweep, made)
while mirror.waiting:
    time.sleep(0.1)
print("uploaded", flush=True)
time.sleep(600)
"""
    environment = {**os.environ, "WSNET_TEST_MARK": str(tmp_path)}
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    assert child.stdout.readline() == "uploaded\n"
    service = [pid for pid in marked(tmp_path) if pid != child.pid]
    assert service, "a process of its own"
    child.send_signal(signal.SIGKILL)
    child.wait()
    until(lambda: not marked(tmp_path), 30)


def marked(mark: Path) -> list[int]:
    """Processes that were started with the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"WSNET_TEST_MARK={mark}\0".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def refusal(text: str, folder: Folder) -> str:
    with pytest.raises(TrackingError) as raised:
        wandb_project(text, folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_without_the_package_the_way_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refusal("p", Folder(tmp_path)) == "--wandb needs the wandb package: pip install 'wsnet[wandb]'"


@pytest.mark.parametrize("text", ["", "a/b/c", "/p", "me/", "what?"])
def test_a_name_that_no_project_can_have_is_refused(text: str, tmp_path: Path) -> None:
    assert refusal(text, Folder(tmp_path)).startswith("--wandb must be PROJECT or ENTITY/PROJECT")


@pytest.mark.slow
def test_without_an_api_key_the_ways_out_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    ways = "run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline to upload the runs later"
    assert refusal("me/p", Folder(tmp_path)) == f"--wandb: no API key for http://127.0.0.1:9 is configured; {ways}"
    monkeypatch.setenv("WANDB_API_KEY", "short")
    assert refusal("me/p", Folder(tmp_path)).startswith("--wandb: WANDB_API_KEY invalid")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    project = wandb_project("me/p", Folder(tmp_path))
    assert (project.entity, project.project, project.is_offline) == ("me", "p", False)


@pytest.mark.slow
def test_wandb_that_is_disabled_or_has_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    from pyarrow import fs

    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert "unset WANDB_MODE, or leave --wandb out" in refusal("p", Folder(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    remote = Folder("bucket/sweep", filesystem=fs.SubTreeFileSystem("/", fs.LocalFileSystem()))
    assert "needs a folder on this machine" in refusal("p", remote)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    assert wandb_project("p", remote).files == tmp_path / "wandb"


def test_the_reason_of_a_failure_is_short_and_in_the_servers_words() -> None:
    def of(text: str, error: type[Exception] = RuntimeError) -> str:
        return reason("http://x", error(text))

    deleted = "run a was previously created and deleted; try a new run name"
    answer = f'{{"data":null,"errors":[{{"message":"{deleted}"}}]}}'
    assert of(f"Failed to upsert bucket: returned error 409: {answer}") == f"W&B at http://x: {deleted}"
    assert of(f"returned error 401: {answer}").startswith("W&B at http://x refuses the API key; ")
    down = "context deadline exceeded\nwhile retrying: dial tcp 127.0.0.1:9: connect: connection refused"
    assert of(down) == of("", TimeoutError) == "W&B at http://x cannot be reached"
    assert of("x" * 300) == f"W&B at http://x: {'x' * 97}..."


def test_importing_tracking_does_not_import_wandb() -> None:
    code = "import sys, wsnet.tracking; assert 'wandb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
