"""Train every combination of a sweep file. See `python run_sweep.py --help`."""

import sys

from wsnet.report import conclude, read_chosen
from wsnet.sweep.cli import main

if __name__ == "__main__":
    sys.exit(main(conclude=conclude, choose=read_chosen))
