"""Train every combination of a sweep file. See `python run_sweep.py --help`."""

import sys

from wsnet.cli import run

if __name__ == "__main__":
    sys.exit(run())
