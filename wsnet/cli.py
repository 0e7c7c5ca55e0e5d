"""The command `wsnet`: one name for what the scripts and `python -m wsnet.training` and the like do."""

import argparse
import gc
import shlex
import sys
from collections.abc import Callable
from importlib import import_module

from wsnet.called import OF_RUN, called

__all__ = ["COMMANDS", "main", "parser", "run"]


def run(argv: list[str] | None = None) -> int:
    """`wsnet run`, which is `run_sweep.py`; returns the exit status."""
    from wsnet import report
    from wsnet.sweep.cli import main as run_sweep

    # The report is imported when it is needed, which is after the sweep.
    status = run_sweep(
        argv,
        conclude=lambda folder, console: report.conclude(folder, console),
        choose=lambda folder: report.read_chosen(folder),
    )
    if not {"ray", "triton"} & sys.modules.keys():  # Both load libraries that complain of what is left at the end.
        gc.freeze()  # Otherwise Python looks for garbage in all of torch before it ends: half a second.
    return status


COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("wsnet.cli:run", "train every combination of a sweep file, such as the example quickstart"),
    "analyze": ("wsnet.report.cli:main", "tables and figures of a sweep"),
    "train": ("wsnet.training.__main__:main", "train or evaluate a single trial"),
    "models": ("wsnet.models.__main__:main", "parameters, cost and memory of architectures"),
    "layers": ("wsnet.layers.check.cli:main", "check a norm, one of yours or one of wsnet's"),
    "data": ("wsnet.data.__main__:main", "describe an image set, or show what augmentation does"),
    "config": ("wsnet.config.__main__:main", "every key of a sweep file, or its JSON schema"),
    "init": ("wsnet.sweep.commands.init:main", "write a sweep file of your own"),
}
"""By command: the function that runs it, from arguments to the exit status, and what it does. Loaded when called."""

_EPILOG = """\
Each command has --help. On a sweep's folder: wsnet status, stop, retry, gc. For completion by Tab: wsnet completion.
To begin:

  wsnet run quickstart                       # an example: 4 to 6 minutes on 2 CPU cores
  wsnet init mine.yaml                       # a sweep file of your own
  wsnet run mine.yaml --dry-run              # what it would train, and for how long
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command of `wsnet`; returns the exit status."""
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["completion"]:
        from wsnet.completion import main as completion

        return completion(given[1:], parser())
    if given[:1] and given[0] in OF_RUN and given[0] not in COMMANDS:
        given = ["run", *given]
    made = parser()
    if given[:1] and not given[0].startswith("-") and given[0] not in COMMANDS:
        made.error(f"invalid choice: {given[0]!r}{_meant(given[0])}")
    command = made.parse_args(given[:1]).command
    return _function(command)(given[1:])


def _meant(word: str) -> str:
    from wsnet.config.errors import did_you_mean
    from wsnet.config.example_sweeps import example_sweeps

    if word in example_sweeps() or word.endswith((".yaml", ".yml")):
        return f"; to train a sweep: {called('run')} {shlex.quote(word)}"
    return did_you_mean(word, dict.fromkeys([*COMMANDS, *OF_RUN, "completion"]))


def parser() -> argparse.ArgumentParser:
    """The parser of the command's name; each command parses the rest."""
    from wsnet import __version__

    made = argparse.ArgumentParser(
        prog="wsnet",
        description="Which normalization wins, over enough seeds to believe it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"wsnet {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, (_, does) in COMMANDS.items():
        commands.add_parser(name, help=does, add_help=False)
    return made


def _function(command: str) -> Callable[[list[str]], int]:
    module, _, name = COMMANDS[command][0].partition(":")
    function: Callable[[list[str]], int] = getattr(import_module(module), name)
    return function
