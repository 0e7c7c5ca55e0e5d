"""Runs one sweep from end to end: plan, train, copy to MLflow, report, and print how to continue."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.called import called
from wsnet.config.errors import counted
from wsnet.sweep.arguments import as_written, recorded, write_command

if TYPE_CHECKING:
    from rich.console import Console

    from wsnet.config import Sweep
    from wsnet.storage import Folder, Manifest
    from wsnet.sweep.run import SweepOutcome

__all__ = ["launch"]

_PLAIN: Any = {"highlight": False, "soft_wrap": True, "markup": False}
"""Options that make rich print a line unchanged."""


def launch(
    arguments: argparse.Namespace,
    whole: "Sweep",
    sweep: "Sweep",
    conclude: Callable[["Folder", "Console"], None],
    console: "Console",
    *,
    is_last: bool = True,
) -> int:
    """Train a sweep, copy it to MLflow and what else tracks it, and report on it.

    Args:
        arguments: the command line's options.
        whole: the sweep that the manifest describes.
        sweep: the settings to train, some or all of those of `whole`.
        conclude: reports on the sweep's folder at the end.
        console: where to print.
        is_last: whether the sweep is complete with these trials; otherwise there is no report, unless it was cut short.

    Returns:
        exit status, as of `main`.

    Raises:
        ConfigError: a setting cannot be run.
        ConnectionError: no Ray cluster answers at --address.
        DataError: images are missing or damaged.
        NodeError: a node of the cluster lacks the images, or does not see the storage.
        StorageError: the results cannot be written.
        StorageLost: the storage did not come back.
        TrackingError: the tracking URI cannot be right, or W&B cannot be used.
    """
    from wsnet.config import ConfigError, Mistake
    from wsnet.sweep.cluster.joining import check_address, check_storage
    from wsnet.sweep.formatting import announced
    from wsnet.sweep.planning.without_gc import without_gc

    if arguments.address is not None:
        check_address(arguments.address)
    check_storage(arguments.storage)
    with announced("reading images, counting what models compute", console), without_gc():
        from wsnet.data import data_root
        from wsnet.storage import Folder, describe_changes
        from wsnet.sweep.mirrors import Mirrors, check_trackers, make_trackers
        from wsnet.sweep.planning.needs import check_packages, warnings_of_needs
        from wsnet.sweep.planning.plan import make_plan
        from wsnet.sweep.run import run

        root = data_root(arguments.data_root)
        folder = Folder(arguments.storage) / sweep.config.name
        project = check_trackers(arguments, folder)
        plan = make_plan(whole, arguments.sweep, root=root)
        check_packages(plan)
        needs = warnings_of_needs(plan.of(sweep), folder)
        revision = _source_revision()
        manifest, plan = plan.manifest, plan.of(sweep)  # The manifest always describes the whole sweep.
        manifest = replace(manifest, report={**manifest.report, "revision": revision})
        if arguments.trials is not None and arguments.trials.isdisjoint(t.entry.trial_id for t in plan.trials):
            if whole.is_stage:
                return 0  # `retry` is about the other stage.
            rule = "the file has changed and no longer has the trials to retry; run it again instead"
            raise ConfigError([Mistake(arguments.sweep, "", rule)])
        manifest, earlier = _write(manifest, folder, arguments)
        trackers = make_trackers(arguments.tracking_uri, project, folder, manifest, revision)
    for warning in [*needs, *filter(None, [describe_changes(manifest)])]:
        print(f"warning: {warning}", file=sys.stderr)
    if earlier is not None:
        console.print(earlier, **_PLAIN)
    console.print(f"{manifest.question}  {counted(len(plan.trials), 'trial')}, results in {folder.location}", **_PLAIN)
    lease = folder.lease(".driver")
    if not lease.try_acquire() and (other := lease.holder()) is not None:
        console.print(f"{other} is at this sweep, too: each trial is trained by one of the two", **_PLAIN)
    mirrors = Mirrors(trackers, folder, manifest, lease)
    ended = False
    try:
        outcome = run(
            plan,
            folder=folder,
            data_root=root,
            is_data_root_of_node=arguments.data_root is None,
            address=arguments.address,
            console=console,
            started=mirrors.begin,
            changed=mirrors.changed,
            trouble=mirrors.trouble,
            only=arguments.trials,
            deadline=arguments.deadline,
        )
        ended = outcome.interrupted is None
    finally:
        lacks = mirrors.close(console, ended=ended)
        lease.release()
    for line in lacks:
        print(line, file=sys.stderr)
    if not is_last and ended and not outcome.is_out_of_time:
        return 0 if outcome.progress.done == len(outcome.progress.trials) else 1
    try:
        conclude(folder, console)
    except OSError as error:  # The disk is full, or no longer there; the trials are complete.
        print(f"the report could not be written to {folder.location}: {error.strerror or error}", file=sys.stderr)
        return 1
    mirrors.upload_report(ended=ended)
    return _finish(outcome, arguments, mirrors.lines(), folder, console)


def _write(manifest: "Manifest", folder: "Folder", arguments: argparse.Namespace) -> "tuple[Manifest, str | None]":
    """Write the manifest and the sweep file to the sweep's folder.

    Returns:
        the manifest as written, and where the report of another recipe went, if there was one.
    """
    from wsnet.storage import StorageError, since_first_report
    from wsnet.storage.recipes import set_aside_report

    try:
        earlier = set_aside_report(folder, manifest)
        if earlier is not None:
            earlier += f". {_ways_back(folder, arguments)}"
        manifest = since_first_report(folder, manifest)
        folder.write("sweep.yaml", as_written(arguments).encode())
        if arguments.trials is None:
            write_command(arguments, folder)
        manifest.write(folder)
        return manifest, earlier
    except OSError as error:
        rule = "--storage must be writable"
        raise StorageError(f"{rule}, but got {arguments.storage!r}: {error.strerror or error}") from None


def _ways_back(folder: "Folder", arguments: argparse.Namespace) -> str:
    """How to return to the recipe that a sweep's folder had, for which the user may only have forgotten an option."""
    from wsnet.storage import StorageError

    lacking: list[str] = []
    with suppress(StorageError):  # It does not say how it was started.
        lacking = [pair for pair in recorded(folder)["set"] if pair not in arguments.set]
    options = " ".join(f"--set {shlex.quote(pair)}" for pair in lacking)
    back = f"To continue the earlier one, interrupt this and add {options}; to" if lacking else "To"
    return f"{back} keep both, give this one another --storage, or another name in its file"


def _finish(
    outcome: "SweepOutcome",
    arguments: argparse.Namespace,
    lines: list[str],
    folder: "Folder",
    console: "Console",
) -> int:
    """Say where everything is and how to continue; returns the exit status."""

    def say(text: str) -> None:
        console.print(text, **_PLAIN)

    say(f"Other tables: {called('analyze')} {shlex.quote(folder.location)}")
    for line in lines:
        say(line)
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


def _source_revision() -> str | None:
    """Git revision of this code, followed by `+` if tracked files have changed since; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
