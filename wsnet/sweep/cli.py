"""The command line of `run_sweep.py`. Functions import torch and Ray lazily: help and typos must not wait for them."""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.config.duration import seconds_of
from wsnet.config.errors import counted
from wsnet.sweep.arguments import as_written, command_line, parser, settings, write_command

if TYPE_CHECKING:
    from rich.console import Console

    from wsnet.config import Sweep
    from wsnet.config.reading.select import Chosen
    from wsnet.storage import Folder, Manifest
    from wsnet.sweep.run import SweepOutcome
    from wsnet.tracking import Mirror

__all__ = ["main"]

_INTERRUPTED_SECONDS = 5.0
"""Seconds to wait for MLflow after Ctrl-C."""

_PATIENCE = {True: 60.0, False: 15.0}
"""Seconds without progress after which the end of a sweep no longer waits for MLflow: for a database on this machine
(True; setting it up takes longest) or a server (False)."""

Conclude = Callable[["Folder", "Console"], None]
Choose = Callable[["Folder"], "Chosen"]

_PLAIN: Any = {"highlight": False, "soft_wrap": True, "markup": False}
"""Options that make rich print a line unchanged."""


def main(argv: list[str] | None = None, *, conclude: Conclude, choose: Choose | None = None) -> int:
    """Run a sweep.

    Args:
        argv: arguments; by default those of the process.
        conclude: reports on the sweep's folder at the end.
        choose: chooses a setting for each cell of the sweep in a folder; needed for sweeps of two stages.

    Returns:
        exit status: 0 all trials ended, 1 some failed, 2 the input cannot be used, 3 the time of --budget is up, 130
        after Ctrl-C, 143 after SIGTERM.
    """
    started, given = time.monotonic(), sys.argv[1:] if argv is None else argv
    arguments = _parsed(given)
    if isinstance(arguments, int):
        return arguments
    if arguments.budget is not None:
        arguments.deadline = started + seconds_of(arguments.budget)
    from wsnet.sweep.signals import interruptible

    with interruptible() as interruption:
        try:
            return _answered(arguments, conclude, choose, [Path(sys.argv[0]).name, *given])
        except KeyboardInterrupt:
            print("\nInterrupted. Run the same command to continue.", file=sys.stderr)
            return interruption.status


def _parsed(given: list[str]) -> argparse.Namespace | int:
    """The options of the sweep to run, or the exit status of a command that runs none."""
    command, rest = given[:1], given[1:]
    if command == ["status"]:
        from wsnet.sweep.status import main as status

        return status(rest)
    if command == ["stop"]:
        from wsnet.sweep.stop import main as stop

        return stop(rest)
    if command == ["retry"]:
        from wsnet.sweep.retry import main as retry

        return retry(rest)
    if command == ["gc"]:
        from wsnet.sweep.cleanup import main as gc

        return gc(rest)
    made = parser()
    arguments = made.parse_args(given)
    if not arguments.smoke and (arguments.images or arguments.steps):
        made.error("--images and --steps make a smoke run smaller; give --smoke too")
    return arguments


def _answered(arguments: argparse.Namespace, conclude: Conclude, choose: Choose | None, command: list[str]) -> int:
    """Run, with a line for each mistake of the user's."""
    from wsnet.config import ConfigError

    try:
        return _run(arguments, conclude, choose, command)
    except (ConfigError, ConnectionError) as error:
        print(error, file=sys.stderr)
    except ValueError as error:
        # By name: importing the classes would load torch and pyarrow just to report a typo.
        if type(error).__name__ not in ("DataError", "StorageError", "TrackingError"):
            raise
        print(f"{arguments.sweep}: {error}", file=sys.stderr)
    except OSError as error:
        if type(error).__name__ != "StorageLost":
            raise
        again = shlex.join(["python", *command])
        print(f"{error}; to continue once it answers, run the same command: {again}", file=sys.stderr)
        return 1
    return 2


def _run(arguments: argparse.Namespace, conclude: Conclude, choose: Choose | None, command: list[str]) -> int:
    from wsnet.config import read_sweep
    from wsnet.config.reading.select import only, smoke

    whole = read_sweep(arguments.sweep, settings(arguments))
    sweep = only(whole, arguments.only)
    if arguments.smoke:
        whole = sweep = smoke(sweep, images=arguments.images or 512, steps=arguments.steps)
    from rich.console import Console

    console = Console()
    for warning in dict.fromkeys([*(sweep.tuning.warnings if sweep.tuning is not None else ()), *sweep.warnings]):
        print(f"warning: {warning}", file=sys.stderr)
    if arguments.dry_run:
        _show(arguments, sweep, choose, console)
        return 0
    arguments.command = arguments.command or command_line(command, arguments)

    def train(whole: "Sweep", sweep: "Sweep") -> int:
        return _train(arguments, whole, sweep, conclude, console)

    if sweep.tuning is None:
        return train(whole, sweep)
    from wsnet.storage import Folder
    from wsnet.sweep.stages import tune_then_confirm

    assert choose is not None
    return tune_then_confirm(whole, sweep, train, choose, Folder(arguments.storage), console)


def _show(arguments: argparse.Namespace, sweep: "Sweep", choose: Choose | None, console: "Console") -> None:
    """`--dry-run`."""
    from wsnet.storage import Folder
    from wsnet.sweep.dry_run import show_costs, show_settings
    from wsnet.sweep.stages import stages_to_show

    storage, stages = Folder(arguments.storage), [sweep]
    if sweep.tuning is not None:
        assert choose is not None
        stages = stages_to_show(sweep, storage, choose)
    for stage in stages:
        show_settings(stage, arguments.sweep, console)
        folder = storage / stage.config.name
        show_costs(stage, arguments.sweep, root=_data_root(arguments), folder=folder, console=console)


def _train(
    arguments: argparse.Namespace,
    whole: "Sweep",
    sweep: "Sweep",
    conclude: Conclude,
    console: "Console",
) -> int:
    """Train the settings of `sweep`: some or all of the settings of `whole`."""
    from wsnet.config import ConfigError, Mistake
    from wsnet.sweep.ray_session import check_address

    if arguments.address is not None:
        check_address(arguments.address)
    with console.status("reading images, building models"):
        from wsnet.storage import Folder
        from wsnet.sweep.plan import make_plan
        from wsnet.sweep.revision import source_revision
        from wsnet.sweep.run import run
        from wsnet.tracking import Mirror, check_tracking_uri, default_tracking_uri, without_password

        if arguments.tracking_uri is not None:
            check_tracking_uri(arguments.tracking_uri)
        plan = make_plan(whole, arguments.sweep, root=_data_root(arguments))
        folder = Folder(arguments.storage) / sweep.config.name
        uri = arguments.tracking_uri or default_tracking_uri(folder)
        manifest, plan = plan.manifest, plan.of(sweep)  # The manifest always describes the whole sweep.
        if arguments.trials is not None and arguments.trials.isdisjoint(t.entry.trial_id for t in plan.trials):
            if whole.is_stage:
                return 0  # `retry` is about the other stage.
            rule = "the file has changed and no longer has the trials to retry; run it again instead"
            raise ConfigError([Mistake(arguments.sweep, "", rule)])
        _write(manifest, folder, arguments)
    console.print(f"{manifest.question}  {counted(len(plan.trials), 'trial')}, results in {folder.location}", **_PLAIN)
    lease = folder.lease(".driver")
    if not lease.try_acquire() and (other := lease.holder()) is not None:
        console.print(f"{other} is at this sweep, too: each trial is trained by one of the two", **_PLAIN)
    mirror = Mirror(folder, manifest, uri=uri, revision=source_revision(), lease=lease)
    ended = False
    try:
        outcome = run(
            plan,
            folder=folder,
            data_root=_data_root(arguments),
            address=arguments.address,
            console=console,
            changed=mirror.changed,
            trouble=lambda: mirror.trouble,
            only=arguments.trials,
            deadline=arguments.deadline,
        )
        ended = outcome.interrupted is None
    finally:
        unmirrored = _upload_rest(mirror, uri, console) if ended else mirror.close(_INTERRUPTED_SECONDS)
        lease.release()
    if unmirrored:
        verb = "is" if len(unmirrored) == 1 else "are"
        trouble = mirror.trouble or f"{counted(len(unmirrored), 'trial')} {verb} not in {without_password(uri)} yet"
        rest = "the results in the sweep's folder are complete; the next start will bring MLflow up to date"
        print(f"tracking: {trouble}; {rest}", file=sys.stderr)
    try:
        conclude(folder, console)
    except OSError as error:  # The disk is full, or no longer there; the trials are complete.
        print(f"the report could not be written to {folder.location}: {error.strerror or error}", file=sys.stderr)
        return 1
    return _finish(outcome, arguments, without_password(uri), mirror.page, folder, console)


def _upload_rest(mirror: "Mirror", uri: str, console: "Console") -> list[str]:
    """Wait for the uploads to MLflow while they progress, or until Ctrl-C; returns the trials that are not there."""
    try:
        left = counted(mirror.waiting, "trial")
        with console.status(f"uploading to MLflow: {left} to go (Ctrl-C leaves the rest to the next start)"):
            return mirror.close(_PATIENCE[uri.startswith("sqlite:")], while_progress=True)
    except KeyboardInterrupt:
        return mirror.close(0)


def _write(manifest: "Manifest", folder: "Folder", arguments: argparse.Namespace) -> None:
    """Write the manifest and the sweep file to the sweep's folder."""
    from wsnet.storage import StorageError

    try:
        folder.write("sweep.yaml", as_written(arguments).encode())
        if arguments.trials is None:
            write_command(arguments, folder)
        manifest.write(folder)
    except OSError as error:
        rule = "--storage must be writable"
        raise StorageError(f"{rule}, but got {arguments.storage!r}: {error.strerror or error}") from None


def _finish(
    outcome: "SweepOutcome",
    arguments: argparse.Namespace,
    uri: str,
    page: str | None,
    folder: "Folder",
    console: "Console",
) -> int:
    """Say where everything is and how to continue; returns the exit status."""

    def say(text: str) -> None:
        console.print(text, **_PLAIN)

    say(f"Other tables: python analyze.py {shlex.quote(folder.location)}")
    if uri.startswith(("http://", "https://")):
        say(f"Compare runs: {uri.rstrip('/')}/{page or ''}")
    else:
        say(f"Compare runs: mlflow ui --backend-store-uri {shlex.quote(uri)}")
        say(f"              then open http://127.0.0.1:5000/{page or ''}")
    progress, command = outcome.progress, arguments.command
    left = len(progress.trials) - progress.done
    if outcome.interrupted is not None:
        where = f"{counted(progress.done, 'trial')} done and {left} to go"
        say(f"Interrupted with {where}. To continue, run the same command: {command}")
        return outcome.interrupted
    if left and outcome.is_out_of_time:
        where = f"{counted(progress.done, 'trial')} done and {left} to go"
        say(f"The {arguments.budget} of --budget are up, with {where}. To continue, run the same command: {command}")
        return 3
    if left:
        say(
            f"{counted(left, 'trial')} failed: see error.txt and log.txt. To try again, run the same command: {command}"
        )
        return 1
    return 0


def _data_root(arguments: argparse.Namespace) -> Path:
    from wsnet.data import data_root

    return data_root(arguments.data_root)
