"""`python run_sweep.py status [FOLDER]`: what a sweep has done, is doing and has left, or which sweeps there are."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

from wsnet.called import program
from wsnet.config.errors import counted
from wsnet.sweep.commands.sweep_status import (
    State,
    SweepStatus,
    TrialStatus,
    count_states,
    read_status,
    read_trials,
)
from wsnet.sweep.formatting import TrialEpochs, describe_savings, duration, readable_size

__all__ = ["main"]

_LISTED: tuple[State, ...] = ("running", "interrupted", "failed", "damaged", "diverged")
"""States of which each trial is listed."""

_MOST_SHOWN = 20
"""Maximum number of trials listed."""


def main(argv: list[str]) -> int:
    """Print the status of a sweep.

    Args:
        argv: the arguments after `status`.

    Returns:
        exit status: 0, or 2 if there is no sweep.
    """
    arguments = _parser().parse_args(argv)
    from wsnet.storage import Folder, StorageError

    try:
        folder = arguments.folder
        for line in _sweeps() if folder is None else _lines(read_status(Folder(folder))):
            print(line)
    except StorageError as error:
        print(f"{program('status')}: {error}", file=sys.stderr)
        return 2
    return 0


def _sweeps() -> Iterator[str]:
    """A line for each sweep in ./runs, newest first.

    Raises:
        StorageError: there is none.
    """
    from wsnet.storage import Folder, Manifest, StorageError
    from wsnet.storage.find import STORAGE, sweeps_in

    sweeps = sweeps_in(STORAGE)
    if not sweeps:
        raise StorageError(f"no sweep below ./{STORAGE}; give the folder of a sweep that {program('run')} wrote")
    for sweep in sweeps:
        try:
            manifest = Manifest.read(Folder(sweep))
        except StorageError as error:
            yield str(error)
        else:
            yield f"{sweep}: {_counts(read_trials(Folder(sweep), manifest.trials))}"


def _counts(trials: Sequence[TrialStatus]) -> str:
    """`12 trials: 10 finished, 2 running`."""
    counts = ", ".join(f"{count} {state}" for state, count in count_states(trials).items())
    return f"{counted(len(trials), 'trial')}: {counts}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program("status"),
        description="What a sweep has done, is doing and has left, while it runs or not. Nothing is changed.",
    )
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", help="the sweep's folder, such as runs/quickstart (default: list runs/)"
    )
    return parser


def _lines(found: SweepStatus) -> list[str]:
    from wsnet.storage import STOPPED_BY_USER

    lines = [found.manifest.question, _counts(found.trials)]
    by_setting: dict[str, list[TrialStatus]] = defaultdict(list)
    for trial in found.trials:
        by_setting[trial.entry.setting_id].append(trial)
    done = sum(all(t.state in ("finished", "diverged", "stopped") for t in trials) for trials in by_setting.values())
    lines.append(f"{counted(len(by_setting), 'setting')}: {done} with all their seeds done")
    if any(trial.state == "stopped" for trial in found.trials) and all(t.entry.epochs for t in found.trials):
        lines.append(describe_savings(map(_epochs, found.trials)))
    if found.seconds_left is not None:
        at_a_time = counted(found.counts()["running"], "trial")
        lines.append(f"about {duration(found.seconds_left)} left, with {at_a_time} at a time")
    if found.sizes is not None:
        kinds = ", ".join(f"{kind} {readable_size(size)}" for kind, size in sorted(found.sizes.items()))
        lines.append(f"on disk: {readable_size(sum(found.sizes.values()))} ({kinds})")
    by_user = [t for t in found.trials if t.state == "stopped" and t.message == STOPPED_BY_USER]
    listed = [(state, [t for t in found.trials if t.state == state]) for state in _LISTED]
    for title, trials in [*listed, (STOPPED_BY_USER, by_user)]:
        if trials:
            lines += ["", f"{title}:", *(_line(trial) for trial in trials[:_MOST_SHOWN])]
        if len(trials) > _MOST_SHOWN:
            lines.append(f"  ... and {len(trials) - _MOST_SHOWN} more")
    return lines


def _epochs(trial: TrialStatus) -> TrialEpochs:
    from wsnet.storage import STOPPED_BY_USER

    stopped = trial.state == "stopped" and trial.message != STOPPED_BY_USER
    return TrialEpochs(
        setting_id=trial.entry.setting_id, trained=trial.epoch, full=trial.entry.epochs or 0, is_stopped=stopped
    )


def _line(trial: TrialStatus) -> str:
    if trial.state in ("running", "interrupted", "stopped"):
        pace = "" if trial.seconds is None else f", {trial.seconds:.3g} s per epoch"
        return f"  {trial.name}: {counted(trial.epoch, 'epoch')} done{pace}"
    return f"  {trial.name}: {trial.message}  ({trial.location})"
