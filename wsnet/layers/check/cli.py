"""The command line of `python -m wsnet.layers`."""

import argparse
import sys
from typing import Any

from pydantic import ValidationError

from wsnet.config.base import Config
from wsnet.config.errors import ConfigError, did_you_mean
from wsnet.config.explain import explain
from wsnet.config.norm import NormConfig
from wsnet.config.source import parse_value
from wsnet.layers.check.card import show
from wsnet.layers.check.run import CHECKS
from wsnet.layers.check.subject import Subject

__all__ = ["main"]

_EXAMPLES = """\
Exit status: 0 nothing failed, 1 a check failed, 2 the norm can not be made.

  python -m wsnet.layers check mynorm.py:MyNorm --option alpha=0.5
  python -m wsnet.layers check group --option groups=8 --channels 64 --size 16
"""


class _Checked(Config):
    norm: NormConfig


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
    parser = argparse.ArgumentParser(prog="python -m wsnet.layers")
    kinds = parser.add_subparsers(required=True, metavar="COMMAND")
    check = kinds.add_parser(
        "check",
        help="try out a norm and print a report card",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("norm", metavar="NORM", help="FILE.py:CLASS, or a norm's name such as group")
    check.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="an option; repeatable")
    check.add_argument("--channels", type=_positive, default=32, metavar="C", help="channels of the maps (default: 32)")
    check.add_argument("--size", type=_positive, default=8, metavar="S", help="height and width (default: 8)")
    check.add_argument("--only", action="append", metavar="CHECK", help="run this check only; repeatable")
    return parser


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
    try:
        return _Checked.model_validate({"norm": data}).norm
    except ValidationError as error:
        lines = []
        for finding in explain(error, _Checked, {"norm": data}):
            key = str(finding.paths[0][-1])
            lines.append(f"{name if key in ('norm', 'name') else f'--option {key}'}: {finding.message}")
        raise ValueError("\n".join(lines)) from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, but got {text!r}")
    return int(text)
