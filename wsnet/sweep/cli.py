"""The command line of `run_sweep.py`. Functions import torch and Ray lazily: help and typos must not wait for them."""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from wsnet.called import called
from wsnet.config.base import seconds_of
from wsnet.config.example_sweeps import sweep_file
from wsnet.errors import Error
from wsnet.sweep.arguments import command_line, parser

if TYPE_CHECKING:
    from rich.console import Console

    from wsnet.config import Sweep
    from wsnet.config.reading.stages import Chosen
    from wsnet.storage import Folder
    from wsnet.sweep.requested_sweep import RequestedSweep

__all__ = ["main", "run_requested"]

Conclude = Callable[["Folder", "Console"], None]
Choose = Callable[["Folder"], "Chosen"]


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
    try:
        arguments = _parsed(given)
        sys.stdout.flush()
    except BrokenPipeError:  # Such as `status FOLDER | head`. Python would say so again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    if isinstance(arguments, int):
        return arguments
    if arguments.budget is not None:
        arguments.deadline = started + seconds_of(arguments.budget)
    from wsnet.sweep.signals import interruptible

    with interruptible() as interruption:
        try:
            return _answered(arguments, conclude, choose, [*shlex.split(called("run")), *given])
        except KeyboardInterrupt:
            print("\nInterrupted. Run the same command to continue.", file=sys.stderr)
            return interruption.status


def _parsed(given: list[str]) -> argparse.Namespace | int:
    """The options of the sweep to run, or the exit status of a command that runs none."""
    command, rest = given[:1], given[1:]
    if command == ["status"]:
        from wsnet.sweep.commands.status import main as status

        return status(rest)
    if command == ["stop"]:
        from wsnet.sweep.commands.stop import main as stop

        return stop(rest)
    if command == ["retry"]:
        from wsnet.sweep.commands.retry import main as retry

        return retry(rest)
    if command == ["gc"]:
        from wsnet.sweep.commands.gc import main as gc

        return gc(rest)
    if command == ["init"]:
        from wsnet.sweep.commands.init import main as init

        return init(rest)
    made = parser()
    arguments = made.parse_args(given)
    if not arguments.smoke and (arguments.images or arguments.steps):
        made.error("--images and --steps make a smoke run smaller; give --smoke too")
    if arguments.time and not arguments.dry_run:
        made.error("--time belongs to --dry-run")
    return arguments


def _answered(arguments: argparse.Namespace, conclude: Conclude, choose: Choose | None, command: list[str]) -> int:
    """Run, with a line for each mistake of the user's."""
    from wsnet.config import ConfigError

    try:
        return _run(arguments, conclude, choose, command)
    except (ConfigError, ConnectionError) as error:
        print(error, file=sys.stderr)
    except Error as error:
        print(f"{arguments.sweep}: {error}", file=sys.stderr)
    except OSError as error:
        if type(error).__name__ != "StorageLost":
            raise
        again = shlex.join(command)
        print(f"{error}; to continue once it answers, run the same command: {again}", file=sys.stderr)
        return 1
    return 2


def _run(arguments: argparse.Namespace, conclude: Conclude, choose: Choose | None, command: list[str]) -> int:
    from wsnet.sweep.planning.without_gc import without_gc
    from wsnet.sweep.requested_sweep import RequestedSweep

    arguments.sweep = sweep_file(arguments.sweep)
    arguments.command = arguments.command or command_line(command, arguments)
    with without_gc():
        requested = RequestedSweep(arguments)
    return run_requested(requested, arguments, conclude, choose)


def run_requested(
    requested: "RequestedSweep", arguments: argparse.Namespace, conclude: Conclude, choose: Choose | None
) -> int:
    """Run a sweep whose file was read; what `main` does, with mistakes as exceptions.

    Args:
        requested: the sweep.
        arguments: as of `parser`, with their `command`.
        conclude: see `main`.
        choose: see `main`.

    Returns:
        exit status, as of `main`.

    Raises:
        ConfigError, ConnectionError, ValueError, OSError: see `launch`.
    """
    from rich.console import Console

    from wsnet.sweep.planning.without_gc import without_gc

    console, sweep = Console(), requested.part
    for warning in dict.fromkeys([*(sweep.tuning.warnings if sweep.tuning is not None else ()), *sweep.warnings]):
        print(f"warning: {warning}", file=sys.stderr)
    if arguments.dry_run:
        with without_gc():
            _show(arguments, requested.read()[1], choose, console)
        return 0

    def train(whole: "Sweep", sweep: "Sweep", is_last: bool = True) -> int:
        from wsnet.sweep.launch import launch

        return launch(arguments, whole, sweep, conclude, console, is_last=is_last)

    def train_first(read: "Callable[[], tuple[Sweep, Sweep]]") -> int:
        if not requested.is_searched or arguments.trials is not None:  # `retry` has nothing new suggested.
            return train(*read())
        from wsnet.sweep.search.rounds import train_in_rounds

        return train_in_rounds(read, train, requested.folder, console)

    from wsnet.sweep.cluster.ray_session import ray_kept

    with ray_kept(address=arguments.address):
        if sweep.tuning is None:
            return train_first(requested.read)
        from wsnet.storage import Folder
        from wsnet.sweep.search.stages import tune_then_confirm

        assert choose is not None
        storage = Folder(arguments.storage)
        return tune_then_confirm(
            lambda: train_first(requested.read_tuning), requested.read, train, choose, storage, console
        )


def _show(arguments: argparse.Namespace, sweep: "Sweep", choose: Choose | None, console: "Console") -> None:
    """`--dry-run`."""
    from wsnet.data import data_root
    from wsnet.storage import Folder
    from wsnet.sweep.commands.dry_run import show_costs, show_settings
    from wsnet.sweep.search.stages import stages_to_show

    root, storage, stages = data_root(arguments.data_root), Folder(arguments.storage), [sweep]
    if sweep.tuning is not None:
        assert choose is not None
        stages = stages_to_show(sweep, storage, choose)
    for stage in stages:
        show_settings(stage, arguments.sweep, console)
        folder = storage / stage.config.name
        show_costs(stage, arguments.sweep, root=root, folder=folder, console=console, is_timed=arguments.time)
