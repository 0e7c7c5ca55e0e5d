"""`python run_sweep.py retry FOLDER [SETTING ...]`: train what failed, or what the user stopped, again, now."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wsnet.called import program
from wsnet.config.errors import counted
from wsnet.sweep.commands.stop import Choice, UnknownSetting, choose

if TYPE_CHECKING:
    from wsnet.storage import Folder, Manifest
    from wsnet.sweep.commands.sweep_status import TrialStatus

__all__ = ["main"]

_DESCRIPTION = """\
Train the failed trials of a sweep again, with the options that the sweep was last started with. With settings named,
also take back their stop, and train all of theirs that have not ended. Nobody else's trials are touched. A trial that
finished, diverged or was stopped by the scheduler would end the same way again, and is left as it is.

While the sweep runs, nothing is started beside it: it trains what it has not come to yet, its next start the rest.
"""


def main(argv: list[str]) -> argparse.Namespace | int:
    """Prepare a retry.

    Args:
        argv: the arguments after `retry`.

    Returns:
        the options of the sweep to run, or the exit status if there is nothing to run: 0, or 2 if the sweep or a
        setting does not exist, or cannot be run.
    """
    arguments = _parser().parse_args(argv)
    from wsnet.storage import Folder, Manifest, StorageError

    try:
        folder = Folder(arguments.folder)
        manifest = Manifest.read(folder)
        choices = [choose(manifest, word) for word in arguments.settings]
        line, trial_ids = _release(choices, manifest, folder)
        print(line, flush=True)
        return _options(arguments, manifest, folder, trial_ids) if trial_ids else 0
    except (StorageError, UnknownSetting, OSError) as error:
        print(f"{program('retry')}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program("retry"), description=_DESCRIPTION)
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="the sweep's folder, such as runs/quickstart")
    add("settings", metavar="SETTING", nargs="*", help="short names or ids of settings or trials (default: all failed)")
    instead = "instead of the recorded one"
    add("--data-root", metavar="DIR", help=f"folder of the image sets {instead}")
    add("--address", metavar="ADDRESS", help=f"Ray cluster {instead}")
    add("--tracking-uri", metavar="URI", help=f"MLflow tracking server or database {instead}; passwords are not kept")
    return parser


def _release(choices: list[Choice], manifest: "Manifest", folder: "Folder") -> tuple[str, frozenset[str]]:
    """Take back the stops of what was chosen; returns a line that says what happens, and the trials to run now."""
    from wsnet.sweep.commands.sweep_status import read_trials

    for choice in choices:
        _take_back(choice, folder)
    trials = read_trials(folder, manifest.trials)
    if choices:
        chosen = {entry.trial_id for choice in choices for entry in choice.trials}
        wanted = [t for t in trials if t.entry.trial_id in chosen and t.state not in _ENDED and t.state != "running"]
        what = ", ".join(choice.name for choice in choices)
    else:
        wanted, what = [t for t in trials if t.state == "failed"], manifest.name
    if not wanted:
        return f"{what}: nothing to retry, since {_why(trials, choices)}", frozenset()
    if any(trial.state == "running" for trial in trials):
        rest = "what the running sweep has not come to yet, it trains; the rest waits for its next start"
        return f"{what}: {counted(len(wanted), 'trial')} to retry; {rest}", frozenset()
    line = f"{what}: retrying {counted(len(wanted), 'trial')}"
    return line, frozenset(trial.entry.trial_id for trial in wanted)


_ENDED = ("finished", "diverged", "stopped")


def _take_back(choice: Choice, folder: "Folder") -> None:
    """Remove the stop of what was chosen. If that is one trial of a stopped setting, the others stay stopped."""
    from wsnet.storage import Stops

    stops, setting = Stops(folder), choice.trials[0].setting_id
    if choice.siblings and stops.has_any([setting]):
        for other in choice.siblings:
            stops.add(other.trial_id)
    for name in (setting, *(entry.trial_id for entry in choice.trials)):
        stops.remove(name)


def _why(trials: "list[TrialStatus]", choices: list[Choice]) -> str:
    if not choices:
        return "no trial has failed"
    chosen = {entry.trial_id for choice in choices for entry in choice.trials}
    states = sorted({trial.state for trial in trials if trial.entry.trial_id in chosen})
    return f"its trials are {' or '.join(states)}"


def _options(
    arguments: argparse.Namespace, manifest: "Manifest", folder: "Folder", trial_ids: frozenset[str]
) -> argparse.Namespace:
    """The options of the sweep's last start, in its working directory.

    Raises:
        StorageError: they were not recorded, or cannot be used here.
    """
    from wsnet.storage import StorageError
    from wsnet.sweep.arguments import recorded

    options = recorded(folder)
    base, mark, query = folder.location.partition("?") if folder.local is None else (str(folder.local), "", "")
    storage, _, name = base.rstrip("/").rpartition("/")
    if name != manifest.name:
        raise StorageError(f"{folder.location!r} must have its sweep's name, {manifest.name!r}, for its trials to run")
    if options["lacks_password"] and arguments.tracking_uri is None:
        raise StorageError(f"give --tracking-uri again: the password of {options['tracking_uri']!r} is not kept")
    given = {key: getattr(arguments, key) for key in ("data_root", "address", "tracking_uri")}
    if arguments.data_root is not None:
        given["data_root"] = str(Path(arguments.data_root).absolute())
    options |= {key: value for key, value in given.items() if value is not None}
    options |= {"storage": f"{storage or '/'}{mark}{query}", "trials": trial_ids, "dry_run": False}
    if not options["smoke"]:  # With --smoke, `only` is part of what was made small.
        options["only"] = []
    directory = options.pop("directory")
    try:
        os.chdir(directory)  # Where the paths in the sweep file and in its options start.
    except OSError as error:
        place = f"the sweep was started in {directory!r}, which cannot be entered here: {error.strerror}"
        raise StorageError(f"{place}; run its command again, which retries all that failed") from None
    return argparse.Namespace(**options)
