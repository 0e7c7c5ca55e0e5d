"""The command line of `python -m wsnet.layers check`: runs the checks and prints a report card."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wsnet.called import called, program
from wsnet.config.base import Config
from wsnet.config.errors import ConfigError, did_you_mean
from wsnet.config.norm import NormConfig, OwnNormConfig
from wsnet.config.reading.messages import explain
from wsnet.config.reading.own_files import with_source
from wsnet.config.reading.yaml_lines import parse_value
from wsnet.layers.check.cost import compiled, cost
from wsnet.layers.check.gradients import activation_in_place, gradients
from wsnet.layers.check.inputs import batch_of_1, channels_last, constant_maps, low_precision, other_batches
from wsnet.layers.check.state import copies, frozen_evaluation, micro_batches
from wsnet.layers.check.subject import Fault, Finding, Line, Subject, failed
from wsnet.layers.own_norm import where

__all__ = ["CHECKS", "check", "main", "show"]

CHECKS: dict[str, Callable[[Subject], Finding]] = {
    "gradients": gradients,
    "activation in place": activation_in_place,
    "batch of 1": batch_of_1,
    "other batch sizes": other_batches,
    "constant maps": constant_maps,
    "channels_last": channels_last,
    "frozen evaluation": frozen_evaluation,
    "state_dict and copies": copies,
    "16 bits": low_precision,
    "micro-batches": micro_batches,
    "torch.compile": compiled,
    "cost": cost,
}


_STYLES = {"pass": "green", "fail": "bold red", "note": "yellow"}

_EXAMPLES = """\
Exit status: 0 nothing failed, 1 a check failed, 2 the norm cannot be constructed.

  {layers} check mynorm.py:MyNorm --option alpha=0.5
  {layers} check group --option groups=8 --channels 64 --size 16
"""


def check(subject: Subject, name: str) -> Line:
    """Run one check; an exception raised by the norm is a failure."""
    try:
        return Line(name, CHECKS[name](subject))
    except Fault as fault:
        return Line(name, failed(str(fault)))
    except Exception as error:
        config = subject.config
        file = config.source_file if isinstance(config, OwnNormConfig) else ""
        return Line(name, failed(f"raised {where(error, file)}; {_way_out(error)}"))


_WAYS_OUT = {
    "backward through the graph a second time": "detach what is kept from one batch to the next",
    "modified by an inplace operation": "clone what backward needs before it is changed in place",
    "does not require grad": "compute the output from x with differentiable operations, not under torch.no_grad()",
    "must match the size": "give statistics the shape (1, C, 1, 1) or (N, C, 1, 1), with keepdim=True",
    "channel dimension": "give statistics the shape (1, C, 1, 1) or (N, C, 1, 1), with keepdim=True",
    "dtype": "compute in x.float() and return the output in x.dtype",
}
"""By a part of an error's text: what to do."""


def _way_out(error: Exception) -> str:
    text = str(error)
    return next((way for part, way in _WAYS_OUT.items() if part in text), "correct the line that raises it")


def show(subject: Subject, console: Console | None = None, only: list[str] | None = None) -> int:
    """Run the checks and print what they find.

    Args:
        subject: the norm.
        console: where to print.
        only: names of checks; by default all.

    Returns:
        1 if a check failed, else 0.
    """
    console = console or Console()
    height, width = subject.size
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    count: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name in only or CHECKS:
        with console.status(name):
            found = check(subject, name).finding
        count[found.verdict] += 1
        earlier = first.setdefault(found.text, name)
        text = found.text if earlier == name else f"as {earlier}"
        table.add_row(name, f"[{_STYLES[found.verdict]}]{found.verdict}[/]", escape(text))
    given = subject.config.model_dump(exclude_defaults=True, exclude={"name", "source_file", "source_sha256"})
    options = "".join(f", {key}={value}" for key, value in given.items())
    title = f"{subject.config.name}{options}, {subject.channels} channels, maps of {height}x{width}"
    console.print(escape(title), style="bold", highlight=False, soft_wrap=True)
    console.print(table, highlight=False)
    console.print(", ".join(f"{count[v]} {v}" for v in _STYLES if count[v]), highlight=False)
    return 1 if count["fail"] else 0


def main(argv: list[str] | None = None) -> int:
    """Check a norm and print its report card; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        config = _config(arguments.norm, arguments.option)
        unknown = [check for check in arguments.only or () if check not in CHECKS]
        if unknown:
            raise ValueError(f"--only {unknown[0]}: no such check{did_you_mean(unknown[0], CHECKS)}")
        subject = Subject(config=config, channels=arguments.channels, size=(arguments.size, arguments.size))
        subject.made()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return show(subject, only=arguments.only)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program("layers"))
    kinds = parser.add_subparsers(required=True, metavar="COMMAND")
    check = kinds.add_parser(
        "check",
        help="check a norm and print a report card",
        description="Check whether a norm can be trusted in a sweep, and print a report card.",
        epilog=_EXAMPLES.format(layers=called("layers")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("norm", metavar="NORM", help="FILE.py:CLASS, or a norm's name such as group")
    check.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="an option; repeatable")
    check.add_argument("--channels", type=_positive, default=32, metavar="C", help="channels of the maps (default: 32)")
    check.add_argument("--size", type=_positive, default=8, metavar="S", help="height and width (default: 8)")
    check.add_argument("--only", action="append", metavar="CHECK", help="run this check only; repeatable")
    return parser


class _Checked(Config):
    norm: NormConfig


def _config(name: str, pairs: list[str]) -> Any:
    """The configuration of a norm.

    Raises:
        ValueError: there is no such norm or option; the message has a line for each mistake.
    """
    data: dict[str, Any] = {"name": name}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or key == "name":
            raise ValueError(f"--option {pair}: must be key=value, such as eps=1e-3")
        try:
            data[key] = parse_value(text)
        except ConfigError as error:
            raise ValueError(f"--option {pair}: {error.mistakes[0].message}") from None
    data = with_source(data)
    try:
        return _Checked.model_validate({"norm": data}).norm
    except ValidationError as error:
        lines = []
        for violation in explain(error, _Checked, {"norm": data}):
            key = str(violation.paths[0][-1])
            lines.append(f"{name if key in ('norm', 'name') else f'--option {key}'}: {violation.message}")
        raise ValueError("\n".join(lines)) from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, but got {text!r}")
    return int(text)
