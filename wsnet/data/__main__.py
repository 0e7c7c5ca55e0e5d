"""`python -m wsnet.data info NAME|PATH`, `show SWEEP.yaml`: describe an image set, or show what augmentation does."""

import argparse
import sys

from wsnet.called import program
from wsnet.data import info, show

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 the images cannot be used."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except (ValueError, OSError) as error:  # DataError, ConfigError, invalid options; files that cannot be accessed.
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program("data"), description="Describe an image set, or show what augmentation does."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    info.add_command(commands)
    show.add_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
