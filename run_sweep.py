"""Train every combination of a sweep file. See `python run_sweep.py --help`."""

import gc
import sys

from wsnet.report import conclude, read_chosen
from wsnet.sweep.cli import main

if __name__ == "__main__":
    status = main(conclude=conclude, choose=read_chosen)
    if "ray" not in sys.modules:  # Ray loads libraries that complain of what is left at the end.
        gc.freeze()  # Otherwise Python looks for garbage in all of torch before it ends: half a second.
    sys.exit(status)
