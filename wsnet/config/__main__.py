"""`python -m wsnet.config schema | keys`: what a sweep file may contain, as a JSON schema or a list."""

import argparse
import json
import sys

from wsnet.called import program
from wsnet.config.reading.keys import dotted_keys, sweep_schema, trial_schema


def main(argv: list[str] | None = None) -> int:
    """Print the JSON schema or the list of keys; returns the exit status."""
    parser = argparse.ArgumentParser(prog=program("config"), description="What a sweep file may contain.")
    what = parser.add_subparsers(dest="what", required=True)
    schema = what.add_parser("schema", help="print the JSON schema of sweep files")
    schema.add_argument("--trial", action="store_true", help="print the schema of trial files instead")
    what.add_parser("keys", help="print every dotted key that cases, grids and --set may name")
    arguments = parser.parse_args(argv)
    if arguments.what == "schema":
        print(json.dumps(trial_schema() if arguments.trial else sweep_schema(), indent=2))
    else:
        for key, text in dotted_keys().items():
            print(f"{key:36} {' '.join(text.split())}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
