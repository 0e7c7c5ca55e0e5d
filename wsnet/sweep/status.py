"""`python run_sweep.py status FOLDER`: what a sweep has done, is doing and has left, from its folder alone."""

import argparse
import statistics
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsnet.config.errors import counted
from wsnet.sweep.savings import TrialEpochs, describe_savings

if TYPE_CHECKING:
    from wsnet.storage import Folder, Manifest, TrialDirectory

__all__ = ["SweepStatus", "TrialStatus", "main", "read_status"]

_State = Literal[
    "finished", "diverged", "stopped", "running", "waiting", "interrupted", "failed", "damaged", "not started"
]
_ORDER: tuple[_State, ...] = (
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
_MOST_SHOWN = 20
"""Maximum number of trials listed."""


@dataclass(frozen=True, kw_only=True)
class TrialStatus:
    """One trial.

    Attributes:
        name: its short name.
        setting_id: identity of its setting.
        state: as in its status file; a trial that is said to run is `interrupted` if no process holds its lock,
            `waiting` if the scheduler has paused it, and `damaged` ones are repaired by the next start.
        epoch: completed epochs.
        message: why it failed or diverged.
        seconds: median time of an epoch; None before the first.
        location: its folder.
        epochs: of its whole training, if the manifest has it.
    """

    name: str
    setting_id: str
    state: _State
    epoch: int
    message: str
    seconds: float | None
    location: str
    epochs: int | None


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """A whole sweep.

    Attributes:
        manifest: what belongs to it.
        trials: in the order of the manifest.
        size: bytes of its folder; None for remote ones.
    """

    manifest: "Manifest"
    trials: list[TrialStatus]
    size: int | None

    def counts(self) -> dict[_State, int]:
        """Number of trials in each state that occurs."""
        found = Counter(trial.state for trial in self.trials)
        return {state: found[state] for state in _ORDER if found[state]}


def main(argv: list[str]) -> int:
    """Print the status of a sweep.

    Args:
        argv: the arguments after `status`.

    Returns:
        exit status: 0, or 2 if there is no sweep.
    """
    parser = argparse.ArgumentParser(
        prog="run_sweep.py status",
        description="What a sweep has done, is doing and has left, while it runs or not. Nothing is changed.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the sweep's folder, such as runs/quickstart")
    arguments = parser.parse_args(argv)
    from wsnet.storage import Folder, StorageError

    try:
        found = read_status(Folder(arguments.folder))
    except StorageError as error:
        print(f"run_sweep.py status: {error}", file=sys.stderr)
        return 2
    for line in _lines(found):
        print(line)
    return 0


def read_status(folder: "Folder") -> SweepStatus:
    """Read a sweep's folder.

    Raises:
        StorageError: it holds no sweep.
    """
    from wsnet.storage import Manifest, trial_directory

    manifest = Manifest.read(folder)
    there = set((folder / "trials").names())
    trials = []
    for entry in manifest.trials:
        directory = trial_directory(folder, entry.trial_id)
        state, epoch, message, seconds = _of(directory) if entry.trial_id in there else ("not started", 0, "", None)
        trials.append(
            TrialStatus(
                name=entry.name,
                setting_id=entry.setting_id,
                state=state,
                epoch=epoch,
                message=message,
                seconds=seconds,
                location=directory.folder.location,
                epochs=entry.epochs,
            )
        )
    local = folder.local
    size = None if local is None else sum(path.stat().st_size for path in local.rglob("*") if path.is_file())
    return SweepStatus(manifest=manifest, trials=trials, size=size)


def _of(directory: "TrialDirectory") -> tuple[_State, int, str, float | None]:
    from wsnet.storage import DamagedFile

    try:
        status, records = directory.status(), directory.records()
    except DamagedFile as error:
        return "damaged", 0, str(error), None
    if status is None:
        return "not started", 0, "", None
    seconds = statistics.median(record["time/epoch_seconds"] for record in records) if records else None
    state: _State = status.status
    if status.lacks_records(records):
        return "damaged", len(records), f"it has records of {len(records)} of {status.epoch} epochs", seconds
    if state == "running" and status.is_paused:
        state = "waiting"
    elif state == "running" and not directory.folder.is_locked():
        state = "interrupted"
    return state, len(records), status.message, seconds


def _lines(found: SweepStatus) -> list[str]:
    counts = ", ".join(f"{count} {state}" for state, count in found.counts().items())
    size = "" if found.size is None else f"; {found.size / 1e6:,.0f} MB"
    lines = [found.manifest.question, f"{counted(len(found.trials), 'trial')}: {counts}{size}"]
    by_setting: dict[str, list[TrialStatus]] = defaultdict(list)
    for trial in found.trials:
        by_setting[trial.setting_id].append(trial)
    done = sum(all(t.state in ("finished", "diverged", "stopped") for t in trials) for trials in by_setting.values())
    lines.append(f"{counted(len(by_setting), 'setting')}: {done} with all their seeds done")
    if any(trial.state == "stopped" for trial in found.trials) and all(t.epochs is not None for t in found.trials):
        lines.append(describe_savings(map(_epochs, found.trials)))
    for state in ("running", "interrupted", "failed", "damaged", "diverged"):
        trials = [trial for trial in found.trials if trial.state == state]
        if trials:
            lines += ["", f"{state}:", *(_line(trial) for trial in trials[:_MOST_SHOWN])]
        if len(trials) > _MOST_SHOWN:
            lines.append(f"  ... and {len(trials) - _MOST_SHOWN} more")
    return lines


def _epochs(trial: TrialStatus) -> TrialEpochs:
    stopped = trial.state == "stopped"
    return TrialEpochs(setting_id=trial.setting_id, trained=trial.epoch, full=trial.epochs or 0, is_stopped=stopped)


def _line(trial: TrialStatus) -> str:
    if trial.state in ("running", "interrupted"):
        pace = "" if trial.seconds is None else f", {trial.seconds:.3g} s per epoch"
        return f"  {trial.name}: {counted(trial.epoch, 'epoch')} done{pace}"
    return f"  {trial.name}: {trial.message}  ({trial.location})"
