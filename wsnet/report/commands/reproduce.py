"""`--reproduce`: a trial trained again, alone, and its records compared with the sweep's."""

import difflib
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wsnet.called import program
from wsnet.report import ReportError
from wsnet.storage import Folder, Manifest, TrialDirectory, TrialEntry, trial_directory
from wsnet.storage.trial_directory import TIME, Record

__all__ = ["differences", "meant_trial", "reproduce"]

_NEAREST = 5
"""Maximum number of names that a message suggests."""


def reproduce(place: str, trial: str) -> int:
    """Train one trial of a sweep again in a process of its own, and print whether its records are bit-equal.

    Args:
        place: the sweep's folder.
        trial: its name, such as `bn-s0`, or its id, or the beginning of its id if no other begins so.

    Returns:
        the exit status: 0 if they are equal, 1 if they differ.

    Raises:
        ReportError: there is no such trial, it has not ended, or it was trained by several workers.
    """
    directory = trial_directory(Folder(place), meant_trial(trial, Manifest.read(Folder(place)).trials))
    status, execution = directory.status(), directory.execution() or {}
    if status is None or not status.has_ended:
        raise ReportError(f"trial {trial!r} has not ended yet")
    if execution.get("workers", 1) != 1:
        raise ReportError(
            f"trial {trial!r} was trained by {execution['workers']} workers, so it needs {program('run')}"
        )
    with tempfile.TemporaryDirectory(prefix="wsnet-reproduce-") as folder:
        file = Path(folder, "trial.yaml")
        file.write_bytes(directory.folder.read("trial.yaml") or b"")
        settled = [f"execution.{key}={json.dumps(execution[key])}" for key in ("threads",) if key in execution]
        options = [text for pair in settled for text in ("--set", pair)]
        if "stack" in execution:
            options += ["--stack", ",".join(map(str, execution["stack"]))]
        command = [sys.executable, "-m", "wsnet.training", str(file), "--out", str(Path(folder, "alone")), *options]
        done = subprocess.run(command, check=False)
        if done.returncode not in (0, 1):
            raise ReportError(f"training again ended with exit status {done.returncode}; see above")
        again = TrialDirectory(Folder(Path(folder, "alone")))
        before, now = directory.records(), again.records()[: len(directory.records())]
        told = [*differences(before, now), *_environment(execution, again.execution() or {})]
    if before and not differences(before, now):
        print(f"{directory.folder.location}: bit-equal in all {len(before)} epochs")
        return 0
    print(f"{directory.folder.location} differs: {'; '.join(told)}")
    return 1


def differences(before: list[Record], now: list[Record]) -> list[str]:
    """Where two trainings' records differ, apart from times; the first epoch of each metric."""
    found: dict[str, str] = {}
    if len(before) != len(now):
        found["epochs"] = f"{len(now)} epochs, not {len(before)}"
    for one, other in zip(before, now, strict=False):
        for key in {**one, **other}:
            if not key.startswith(TIME) and key not in found and not _equal(one.get(key), other.get(key)):
                found[key] = f"{key} is {other.get(key)!r}, not {one.get(key)!r}, after epoch {one['epoch']}"
    return list(found.values())


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


def _environment(before: dict[str, object], now: dict[str, object]) -> list[str]:
    return [f"{key} is {now.get(key)}, not {before[key]}" for key in before if now.get(key) != before[key]]


def meant_trial(word: str, entries: Sequence[TrialEntry]) -> str:
    """The id of the trial that a word means: its name, its id, or the beginning of its id alone.

    Raises:
        ReportError: there is none, or several ids begin so.
    """
    names = {entry.name: entry.trial_id for entry in entries}
    if word in names:
        return names[word]
    found = [entry.trial_id for entry in entries if word and entry.trial_id.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        what = f"begins {len(found)} trials' ids"
    else:
        near = difflib.get_close_matches(word, names, n=_NEAREST, cutoff=0)
        what = f"is no trial of the sweep; the nearest names: {', '.join(near)}"
    raise ReportError(
        f"--reproduce takes a trial's name, such as {next(iter(names), 'bn-s0')}, or its id, but {word!r} {what}"
    )
