"""`python run_sweep.py stop FOLDER SETTING`: stops the named settings of a sweep, whether it runs or not."""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsnet.called import called, program
from wsnet.config.errors import counted, did_you_mean
from wsnet.errors import Error

if TYPE_CHECKING:
    from wsnet.storage import Folder, Manifest, TrialEntry

__all__ = ["Choice", "UnknownSetting", "choose", "main"]

_DESCRIPTION = """\
Stop settings or trials of a sweep; the others continue. What runs ends after its current epoch, what has not started is
not started, now and by later starts, until `retry` takes the stop back. Nothing is deleted.
"""


class UnknownSetting(Error):
    """A sweep has no setting and no trial of this name; the message has the most similar one."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a name on the command line stands for.

    Attributes:
        name: the short name of the setting or trial.
        stop_id: its setting_id, or trial_id.
        trials: the trials that belong to it.
        siblings: for a single trial, the other trials of its setting.
    """

    name: str
    stop_id: str
    trials: list["TrialEntry"]
    siblings: list["TrialEntry"]


def main(argv: list[str]) -> int:
    """Stop settings.

    Args:
        argv: the arguments after `stop`.

    Returns:
        exit status: 0, or 2 if there is no such sweep or setting.
    """
    arguments = _parser().parse_args(argv)
    from wsnet.storage import Folder, Manifest, StorageError

    try:
        folder = Folder(arguments.folder)
        manifest = Manifest.read(folder)
        for choice in [choose(manifest, word) for word in arguments.settings]:
            print(_stop(choice, folder, arguments.folder))
    except (StorageError, UnknownSetting, OSError) as error:
        print(f"{program('stop')}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program("stop"), description=_DESCRIPTION)
    parser.add_argument("folder", metavar="FOLDER", help="the sweep's folder, such as runs/quickstart")
    parser.add_argument(
        "settings",
        metavar="SETTING",
        nargs="+",
        help="short name or setting_id, as `status` prints them; or one trial: its short name or trial_id",
    )
    return parser


def choose(manifest: "Manifest", word: str) -> Choice:
    """Find the setting or trial that a short name or an id stands for.

    Raises:
        UnknownSetting: there is none.
    """
    names = {entry.setting_id: entry.name.rpartition("-s")[0] for entry in manifest.trials}
    for setting_id, name in names.items():
        if word in (name, setting_id):
            trials = [entry for entry in manifest.trials if entry.setting_id == setting_id]
            return Choice(name=name, stop_id=setting_id, trials=trials, siblings=[])
    for trial in manifest.trials:
        if word in (trial.name, trial.trial_id):
            others = [e for e in manifest.trials if e.setting_id == trial.setting_id and e is not trial]
            return Choice(name=trial.name, stop_id=trial.trial_id, trials=[trial], siblings=others)
    known = [*names.values(), *(entry.name for entry in manifest.trials)]
    example = f"; names look like {known[0]!r}" if known else "; it has no trials"
    hint = did_you_mean(word, known, otherwise=example)
    raise UnknownSetting(f"sweep {manifest.name!r} has no setting or trial {word!r}{hint}")


def _stop(choice: Choice, folder: "Folder", location: str) -> str:
    """Stop what was chosen; returns the line that says so."""
    from wsnet.storage import Stops, trial_directory
    from wsnet.storage.stops import hold_back
    from wsnet.sweep.commands.sweep_status import read_trials

    states = Counter(trial.state for trial in read_trials(folder, choice.trials))
    ended = states["finished"] + states["diverged"]
    if ended == len(choice.trials):
        verb = "has" if ended == 1 else "have"
        return f"{choice.name}: nothing to stop, since its {counted(ended, 'trial')} {verb} ended already"
    Stops(folder).add(choice.stop_id)
    for entry in choice.trials:
        hold_back(trial_directory(folder, entry.trial_id))
    running, waiting = states["running"], len(choice.trials) - ended - states["running"]
    what = {
        f"{counted(running, 'running trial')} will end after the current epoch": running,
        f"{counted(waiting, 'trial')} will not be started": waiting,
        f"{counted(ended, 'trial')} had ended before": ended,
    }
    parts = ", ".join(text for text, count in what.items() if count)
    return f"{choice.name}: stopped; {parts}. To take it back: {called('retry')} {location} {choice.name}"
