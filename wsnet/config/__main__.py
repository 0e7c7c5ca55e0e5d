"""`python -m wsnet.config keys | schema | reference`: what a sweep file may contain."""

import argparse
import json
import os
import shutil
import signal
import sys
import textwrap

from wsnet.called import program
from wsnet.config.errors import ConfigError, did_you_mean
from wsnet.config.reading.keys import sweep_schema, trial_schema
from wsnet.config.reading.reference import KeyEntry, entries_of
from wsnet.config.reading.reference_page import reference_page

_WHAT = ("keys", "schema", "reference")


def main(argv: list[str] | None = None) -> int:
    """Print the keys, the JSON schema, or docs/sweep-file.md; returns the exit status."""
    parser = _parser()
    given = sys.argv[1:] if argv is None else argv
    if given[:1] and not given[0].startswith("-") and given[0] not in _WHAT:
        parser.error(f"invalid choice: {given[0]!r}{did_you_mean(given[0], _WHAT)}")
    arguments = parser.parse_args(given)
    try:
        text = _text(arguments)
        print(text, flush=True)
    except ConfigError as error:
        print(f"{parser.prog} {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `keys | head` ends quietly. Python would say so again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program("config"), description="What a sweep file may contain.")
    what = parser.add_subparsers(dest="what", required=True)
    keys = what.add_parser("keys", help="print every key with its type, default and meaning")
    keys.add_argument("place", nargs="?", metavar="SECTION", help="only these, such as model.norm, optim or scheduler")
    schema = what.add_parser("schema", help="print the JSON schema of sweep files, for editors")
    schema.add_argument("--trial", action="store_true", help="print the schema of trial files instead")
    what.add_parser("reference", help="print the reference of sweep files as Markdown")
    return parser


def _text(arguments: argparse.Namespace) -> str:
    if arguments.what == "schema":
        return json.dumps(trial_schema() if arguments.trial else sweep_schema(), indent=2)
    if arguments.what == "reference":
        return reference_page().removesuffix("\n")
    width = min(shutil.get_terminal_size().columns, 120)
    return "\n".join(_lines(entry, width) for entry in entries_of(arguments.place))


def _lines(entry: KeyEntry, width: int) -> str:
    """An entry as text: the key with its type and default, and its meaning below."""
    taken = f"  [{', '.join(entry.taken_by)}]" if entry.taken_by else ""
    default = {"required": "; required", "unset": "; unset by default", "": ""}.get(entry.default)
    head = f"{entry.key}{taken}: {entry.kind}{f'; default {entry.default}' if default is None else default}"
    wrapped = textwrap.wrap(head, width, subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join([*wrapped, *textwrap.wrap(entry.about, width, initial_indent="    ", subsequent_indent="    ")])


if __name__ == "__main__":
    sys.exit(main())
