"""The command line of `run_sweep.py`. Functions import torch and Ray lazily: help and typos must not wait for them."""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.config.errors import counted

if TYPE_CHECKING:
    from rich.console import Console

    from wsnet.config import Sweep
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

_PLAIN: Any = {"highlight": False, "soft_wrap": True, "markup": False}
"""Options that make rich print a line unchanged."""

_EPILOG = """\
To continue a sweep, run the same command again: it resumes unfinished trials and starts missing ones. Examples:

  python run_sweep.py sweeps/quickstart.yaml
  python run_sweep.py sweeps/cifar_batchsize.yaml --smoke
  python run_sweep.py status runs/quickstart    # what is done, running and failed, and why
"""


def main(argv: list[str] | None = None, *, conclude: Conclude) -> int:
    """Run a sweep.

    Args:
        argv: arguments; by default those of the process.
        conclude: reports on the sweep's folder at the end.

    Returns:
        exit status: 0 all trials ended, 1 some failed, 2 the input cannot be used, 130 after Ctrl-C, 143 after SIGTERM.
    """
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["status"]:
        from wsnet.sweep.status import main as status

        return status(given[1:])
    parser = _parser()
    arguments = parser.parse_args(given)
    if not arguments.smoke and (arguments.images or arguments.steps):
        parser.error("--images and --steps make a smoke run smaller; give --smoke too")
    from wsnet.sweep.ray_session import interruptible

    with interruptible() as interruption:
        try:
            return _answered(arguments, conclude, [Path(sys.argv[0]).name, *given])
        except KeyboardInterrupt:
            print("\nInterrupted. Run the same command to continue.", file=sys.stderr)
            return interruption.status


def _answered(arguments: argparse.Namespace, conclude: Conclude, command: list[str]) -> int:
    """Run, with a line for each mistake of the user's."""
    from wsnet.config import ConfigError

    try:
        return _run(arguments, conclude, command)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_sweep.py",
        description="Train every combination of a sweep file.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sweep", metavar="SWEEP.yaml", help="the sweep file")
    add(
        "--dry-run",
        action="store_true",
        help="print settings, trial count, model sizes and a time estimate; start nothing",
    )
    add(
        "--smoke",
        action="store_true",
        help="run a small version in a separate folder, to check that the sweep works before it runs for days",
    )
    add("--images", type=_positive, metavar="N", help="with --smoke: images in each split (default: 512)")
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
    add("--tracking-uri", metavar="URI", help="MLflow tracking server or database (default: mlflow.db in the results)")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, but got {text!r}")
    return int(text)


def _run(arguments: argparse.Namespace, conclude: Conclude, command: list[str]) -> int:
    from wsnet.config import read_sweep
    from wsnet.config.reading.select import only, smoke

    whole = read_sweep(arguments.sweep, arguments.set)
    sweep = only(whole, arguments.only)
    if arguments.smoke:
        whole = sweep = smoke(sweep, images=arguments.images or 512, steps=arguments.steps)
    from rich.console import Console

    console = Console()
    for warning in sweep.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if arguments.dry_run:
        from wsnet.storage import Folder
        from wsnet.sweep.dry_run import show_costs, show_settings

        folder = Folder(arguments.storage) / sweep.config.name
        show_settings(sweep, arguments.sweep, console)
        show_costs(sweep, arguments.sweep, root=_data_root(arguments), folder=folder, console=console)
        return 0
    return _train(arguments, whole, sweep, conclude, shlex.join(["python", *command]), console)


def _train(
    arguments: argparse.Namespace,
    whole: "Sweep",
    sweep: "Sweep",
    conclude: Conclude,
    command: str,
    console: "Console",
) -> int:
    """Train the settings of `sweep`: some or all of the settings of `whole`."""
    from wsnet.sweep.ray_session import check_address

    if arguments.address is not None:
        check_address(arguments.address)
    with console.status("reading images, building models"):
        from wsnet.storage import Folder
        from wsnet.sweep.plan import make_plan
        from wsnet.sweep.run import run, source_revision
        from wsnet.tracking import Mirror, check_tracking_uri, default_tracking_uri, without_password

        if arguments.tracking_uri is not None:
            check_tracking_uri(arguments.tracking_uri)
        plan = make_plan(whole, arguments.sweep, root=_data_root(arguments))
        folder = Folder(arguments.storage) / sweep.config.name
        uri = arguments.tracking_uri or default_tracking_uri(folder)
        manifest, plan = plan.manifest, plan.of(sweep)  # The manifest always describes the whole sweep.
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
    return _finish(outcome, command, without_password(uri), mirror.page, folder, console)


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
        folder.write("sweep.yaml", _as_written(arguments).encode())
        manifest.write(folder)
    except OSError as error:
        rule = "--storage must be writable"
        raise StorageError(f"{rule}, but got {arguments.storage!r}: {error.strerror or error}") from None


def _finish(
    outcome: "SweepOutcome", command: str, uri: str, page: str | None, folder: "Folder", console: "Console"
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
    progress = outcome.progress
    left = len(progress.trials) - progress.done
    if outcome.interrupted is not None:
        where = f"{counted(progress.done, 'trial')} done and {left} to go"
        say(f"Interrupted with {where}. To continue, run the same command: {command}")
        return outcome.interrupted
    if left:
        say(
            f"{counted(left, 'trial')} failed: see error.txt and log.txt. To try again, run the same command: {command}"
        )
        return 1
    return 0


def _data_root(arguments: argparse.Namespace) -> Path:
    from wsnet.data import data_root

    return data_root(arguments.data_root)


def _as_written(arguments: argparse.Namespace) -> str:
    """The sweep file's text, below comments with the command-line options that changed it."""
    options = [f"--set {item}" for item in arguments.set] + [f"--only {item}" for item in arguments.only]
    if arguments.smoke:
        options.append(
            f"--smoke --images {arguments.images or 512}" + (f" --steps {arguments.steps}" if arguments.steps else "")
        )
    text = Path(arguments.sweep).read_text(encoding="utf-8")
    return "".join(f"# run with {option}\n" for option in options) + text
