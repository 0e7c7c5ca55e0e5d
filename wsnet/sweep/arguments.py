"""The options of `run_sweep.py`, and how a sweep's folder records those that it was started with."""

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.called import called, program
from wsnet.config.base import seconds_of
from wsnet.config.reading.only_and_smoke import SMOKE_IMAGES

if TYPE_CHECKING:
    from wsnet.storage import Folder

__all__ = ["as_written", "command_line", "parser", "recorded", "settings", "write_command"]

_COMMAND = "command.json"

_EPILOG = """\
To continue a sweep, run the same command again: it resumes unfinished trials and starts missing ones. Examples:

  {run} quickstart
  {run} cifar_batchsize --smoke

Other commands on a sweep's folder, while it runs or not (each has --help; docs/run-control.md):

  {run} status runs/quickstart           # what is done, running and failed, why, and the time left
  {run} stop runs/quickstart bn-b8       # end one setting; the others continue
  {run} retry runs/quickstart            # train the failed trials again, now
  {run} gc runs                          # files that no report needs; deletes them with --delete
  {run} init mine.yaml                   # write a sweep file of your own
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the options.

    Only `retry` sets `trials`, the trial_ids to train (None: all). `retry` and `wsnet.run` set `command`, what
    continues the sweep (None: the command line), and `text`, the YAML of a sweep that is in no file. `deadline` is the
    end of --budget, by `time.monotonic`; `main` sets it.
    """
    made = argparse.ArgumentParser(
        prog=program("run"),
        description="Train every combination of a sweep file.",
        epilog=_EPILOG.format(run=called("run")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("sweep", metavar="SWEEP.yaml", help="the sweep file, or the name of an example, such as quickstart")
    add(
        "--dry-run",
        action="store_true",
        help="print settings, trial count, model sizes and a time estimate; start nothing",
    )
    add("--time", action="store_true", help="with --dry-run: time a few steps of each model, which can take minutes")
    add(
        "--smoke",
        action="store_true",
        help="run a small version in a separate folder, to check that the sweep works before it runs for days",
    )
    add("--images", type=_positive, metavar="N", help="with --smoke: images in each split (default: 8)")
    add("--steps", type=_positive, metavar="N", help="with --smoke: steps per epoch (default: all)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override an option; repeatable")
    add(
        "--only",
        action="append",
        default=[],
        metavar="AXIS=VALUE",
        help="run only the settings with this value, such as case=ResNet-110; repeatable",
    )
    add(
        "--storage",
        default="runs",
        metavar="DIR",
        help="where results go: a path, or a URI such as s3://... (default: runs)",
    )
    add("--data-root", metavar="DIR", help="folder of the image sets (default: $WSNET_DATA or ./data)")
    add(
        "--address", metavar="ADDRESS", help="join this Ray cluster ('auto', or host:port) instead of starting Ray here"
    )
    add(
        "--stall-timeout",
        type=_duration,
        metavar="TIME",
        help="end and retry a trial that makes no step for this long, such as 10min: resources.stall_timeout",
    )
    add(
        "--budget",
        type=_duration,
        metavar="TIME",
        help="end after this long, such as 8h, and report what is done; the same command continues (exit status 3)",
    )
    add("--tracking-uri", metavar="URI", help="MLflow tracking server or database (default: mlflow.db in the results)")
    add("--wandb", metavar="PROJECT", help="also a run in W&B for each trial, in PROJECT or ENTITY/PROJECT")
    made.set_defaults(trials=None, command=None, text=None, deadline=None)
    return made


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, but got {text!r}")
    return int(text)


def _duration(text: str) -> str:
    try:
        seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def settings(arguments: argparse.Namespace) -> list[str]:
    """The options that override keys of the sweep file, as `key=value`."""
    stall = arguments.stall_timeout
    return [*arguments.set, *([] if stall is None else [f"resources.stall_timeout={stall}"])]


def as_written(arguments: argparse.Namespace) -> str:
    """The sweep file's text, below comments with the command-line options that changed it."""
    options = [f"--set {item}" for item in settings(arguments)] + [f"--only {item}" for item in arguments.only]
    if arguments.smoke:
        options.append(
            f"--smoke --images {arguments.images or SMOKE_IMAGES}"
            + (f" --steps {arguments.steps}" if arguments.steps else "")
        )
    text = arguments.text or Path(arguments.sweep).read_text(encoding="utf-8")
    return "".join(f"# run with {option}\n" for option in options) + text


def command_line(words: list[str], arguments: argparse.Namespace) -> str:
    """The command as it is shown to the user: without passwords in its URIs."""
    for uri in (arguments.tracking_uri, arguments.storage):
        if uri and "://" in uri:
            from wsnet.tracking import without_password

            words = [word.replace(uri, without_password(uri)) for word in words]
    return shlex.join(words)


def write_command(arguments: argparse.Namespace, folder: "Folder") -> None:
    """Record the options and the working directory for `retry`, without passwords and without the storage."""
    from wsnet.tracking import without_password

    kept: dict[str, Any] = {
        key: value for key, value in vars(arguments).items() if key not in ("storage", "trials", "deadline")
    }
    uri = arguments.tracking_uri
    if uri is not None:
        kept["tracking_uri"] = without_password(uri)
    kept |= {"directory": os.getcwd(), "lacks_password": kept["tracking_uri"] != uri}
    folder.write(_COMMAND, (json.dumps(kept, indent=1) + "\n").encode())


def recorded(folder: "Folder") -> dict[str, Any]:
    """The options that a sweep was last started with, with `directory` and `lacks_password` (see `write_command`).

    Raises:
        StorageError: they were not recorded, or are damaged.
    """
    from wsnet.storage import StorageError

    try:
        found: dict[str, Any] = json.loads(folder.read(_COMMAND) or b"")
        defaults = vars(parser().parse_args([found["sweep"]]))
        return {**defaults, "directory": found["directory"], "lacks_password": False, **found}
    except (ValueError, KeyError, TypeError):
        text = "does not say how the sweep was started; run its command again, which retries all that failed"
        raise StorageError(f"{folder.location}/{_COMMAND} {text}") from None
