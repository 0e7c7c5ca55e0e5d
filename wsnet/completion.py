"""`wsnet completion bash`: a script with which a shell completes commands, options, example sweeps and file names.

shtab makes it from the argument parsers, once: pressing Tab starts no Python.
"""

import argparse
import importlib.util
import sys
from importlib import import_module
from typing import Any

from wsnet.called import program
from wsnet.config.example_sweeps import example_sweeps

__all__ = ["PARSERS", "main", "script"]

PARSERS = {
    "run": ("wsnet.sweep.arguments", "parser"),
    "analyze": ("wsnet.report.arguments", "parser"),
    "train": ("wsnet.training.__main__", "_parser"),
    "models": ("wsnet.models.__main__", "_parser"),
    "layers": ("wsnet.layers.check.cli", "_parser"),
    "data": ("wsnet.data.__main__", "_parser"),
    "config": ("wsnet.config.__main__", "_parser"),
    "init": ("wsnet.sweep.commands.init", "_parser"),
    "completion": ("wsnet.completion", "_parser"),
    "status": ("wsnet.sweep.commands.status", "_parser"),
    "stop": ("wsnet.sweep.commands.stop", "_parser"),
    "retry": ("wsnet.sweep.commands.retry", "_parser"),
    "gc": ("wsnet.sweep.commands.gc", "_parser"),
}
"""By command of `wsnet`: module and name of the function that makes its parser."""

_SWEEPS = {"bash": "_wsnet_sweeps", "zsh": "_wsnet_sweeps"}

_PREAMBLE = {
    "bash": "_wsnet_sweeps() {{ compgen -W '{names}' -- \"$1\"; compgen -f -X '!*.yaml' -- \"$1\"; }}",
    "zsh": "_wsnet_sweeps() {{ _alternative 'examples:example:({names})' 'files:file:_files -g \"*.yaml\"' }}",
}
"""By shell: a function that completes a sweep file. Tab in a folder's name still works, by the shell's own default."""


def main(argv: list[str], whole: argparse.ArgumentParser) -> int:
    """Print the script.

    Args:
        argv: the arguments after `completion`.
        whole: the parser of `wsnet`; those of its commands are put into it.

    Returns:
        exit status: 0, or 2 if shtab is missing.
    """
    shell = _parser().parse_args(argv).shell
    if importlib.util.find_spec("shtab") is None:
        print(f"{program('completion')} needs the shtab package: pip install 'wsnet[completion]'", file=sys.stderr)
        return 2
    print(script(shell, whole))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program("completion"),
        description="Print a script for completion by Tab. Write it to a file that the shell reads: see "
        "docs/commands.md.",
    )
    parser.add_argument("shell", choices=sorted(_PREAMBLE), metavar="SHELL", help="bash or zsh")
    return parser


def script(shell: str, whole: argparse.ArgumentParser) -> str:
    """The script, for `bash` or `zsh`."""
    import shtab

    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    for name, (module, function) in PARSERS.items():
        if name not in commands.choices:
            commands.add_parser(name, help="print this script" if name == "completion" else "on a sweep's folder")
        commands.choices[name] = _completed(getattr(import_module(module), function)())
    preamble = {key: text.format(names=" ".join(example_sweeps())) for key, text in _PREAMBLE.items()}
    return str(shtab.complete(whole, shell, preamble=preamble))


def _completed(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser with marks on the arguments that are a sweep, a folder or a file, which their metavars tell."""
    import shtab

    kinds: dict[str, Any] = {"SWEEP.yaml": _SWEEPS}
    kinds |= dict.fromkeys(("DIR", "FOLDER", "RUNS_DIR"), shtab.DIRECTORY)
    kinds |= dict.fromkeys(("FILE", "PATH", "FILE.yaml", "TRIAL.yaml", "FILE.zip"), shtab.FILE)
    for action in parser._actions:
        if action.metavar in kinds:
            action.complete = kinds[str(action.metavar)]  # type: ignore[attr-defined]
    return parser
