"""The state of a sweep's trials, its size and the time left, from its folder alone, whether the sweep runs or not."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wsnet.storage import Folder, Manifest, TrialDirectory, TrialEntry
    from wsnet.storage.trial_directory import Record

__all__ = ["State", "SweepStatus", "TrialStatus", "count_states", "read_status", "read_trials"]

State = Literal[
    "finished", "diverged", "stopped", "running", "waiting", "interrupted", "failed", "damaged", "not started"
]
_ORDER: tuple[State, ...] = (
    "finished",
    "diverged",
    "stopped",
    "running",
    "waiting",
    "interrupted",
    "failed",
    "damaged",
    "not started",
)


@dataclass(frozen=True, kw_only=True)
class TrialStatus:
    """One trial.

    Attributes:
        entry: its entry in the manifest.
        state: as in its status file; a trial that is said to run is `interrupted` if no process holds its lock,
            `waiting` if the scheduler has paused it, and `damaged` ones are repaired by the next start.
        epoch: completed epochs.
        message: why it failed, diverged or was stopped.
        seconds: median time of an epoch; None before the first.
        location: its folder.
    """

    entry: "TrialEntry"
    state: State
    epoch: int
    message: str
    seconds: float | None
    location: str

    @property
    def name(self) -> str:
        """Its short name."""
        return self.entry.name


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """A whole sweep.

    Attributes:
        manifest: what belongs to it.
        trials: in the order of the manifest.
        sizes: bytes of its folder by kind of file; None for remote folders.
        seconds_left: estimated time to the end; None unless it runs and an epoch is done.
    """

    manifest: "Manifest"
    trials: list[TrialStatus]
    sizes: dict[str, int] | None
    seconds_left: float | None

    def counts(self) -> dict[State, int]:
        """Number of trials in each state that occurs."""
        return count_states(self.trials)


def count_states(trials: Iterable[TrialStatus]) -> dict[State, int]:
    """Number of trials in each state that occurs."""
    found = Counter(trial.state for trial in trials)
    return {state: found[state] for state in _ORDER if found[state]}


def read_status(folder: "Folder") -> SweepStatus:
    """Read a sweep's folder.

    Raises:
        StorageError: it holds no sweep.
    """
    from wsnet.storage import Manifest

    manifest = Manifest.read(folder)
    trials = read_trials(folder, manifest.trials)
    sizes = None if folder.local is None else _sizes(folder.local)
    return SweepStatus(manifest=manifest, trials=trials, sizes=sizes, seconds_left=_seconds_left(trials))


def read_trials(folder: "Folder", entries: Iterable["TrialEntry"]) -> list[TrialStatus]:
    """The state of some trials of a sweep."""
    from wsnet.storage import STOPPED_BY_USER, Stops, trial_directory

    there, stops = set((folder / "trials").names()), Stops(folder).ids()
    trials = []
    for entry in entries:
        directory = trial_directory(folder, entry.trial_id)
        state, epoch, message, seconds = _of(directory) if entry.trial_id in there else ("not started", 0, "", None)
        if state not in ("finished", "diverged", "running") and stops & {entry.trial_id, entry.setting_id}:
            state, message = "stopped", STOPPED_BY_USER
        elif state == "stopped" and message == STOPPED_BY_USER:  # Taken back, and not started since.
            state, message = "interrupted", ""
        location = directory.folder.location
        trials.append(
            TrialStatus(entry=entry, state=state, epoch=epoch, message=message, seconds=seconds, location=location)
        )
    return trials


def _of(directory: "TrialDirectory") -> tuple[State, int, str, float | None]:
    from wsnet.storage import DamagedFile

    try:
        status, records = directory.status(), directory.records()
    except DamagedFile as error:
        return "damaged", 0, str(error), None
    if status is None:
        return "not started", 0, "", None
    seconds = _epoch_seconds(records)
    state: State = status.status
    if status.lacks_records(records):
        return "damaged", len(records), f"it has records of {len(records)} of {status.epoch} epochs", seconds
    if state == "running" and status.is_paused:
        state = "waiting"
    elif state == "running" and not directory.folder.is_locked():
        state = "interrupted"
    return state, len(records), status.message, seconds


def _epoch_seconds(records: "list[Record]") -> float | None:
    return statistics.median(record["time/epoch_seconds"] for record in records) if records else None


def _seconds_left(trials: list[TrialStatus]) -> float | None:
    """As the running sweep itself estimates it, with as many trials at a time as run now."""
    running = [trial for trial in trials if trial.state == "running"]
    epochs = {trial.entry.trial_id: trial.entry.epochs for trial in trials if trial.entry.epochs is not None}
    if not running or len(epochs) < len(trials):  # A manifest of an earlier version does not have them.
        return None
    from wsnet.storage import Status
    from wsnet.sweep.progress import SweepProgress

    progress = SweepProgress([trial.entry for trial in trials], epochs, concurrent=len(running))
    for trial in trials:
        if trial.seconds is not None:
            record = {"epoch": trial.epoch, "time/epoch_seconds": trial.seconds}
            progress.measured(trial.entry.trial_id, record)
        if trial.state in ("finished", "diverged", "stopped", "failed"):
            progress.ended(trial.entry.trial_id, Status(status=trial.state))  # type: ignore[arg-type]
    return progress.seconds_left()


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes by kind of file. Files that disappear meanwhile count as nothing."""
    found: dict[str, int] = defaultdict(int)
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():  # W&B links one log from every run.
                found[_kind(path, folder)] += path.stat().st_size
        except OSError:
            continue
    return dict(found)


def _kind(path: Path, folder: Path) -> str:
    if path.suffix == ".pt":
        return "checkpoints"
    if path.name.startswith(("log.", "error.txt")):
        return "logs"
    for start, tracker in (("mlflow", "MLflow"), ("wandb", "W&B")):
        if path.relative_to(folder).parts[0].startswith(start):
            return tracker
    return "records and reports"
