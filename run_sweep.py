"""Train every combination of a sweep file. See `python run_sweep.py --help`."""

import gc
import sys

from wsnet import report
from wsnet.sweep.cli import main

if __name__ == "__main__":
    # The report is imported when it is needed, which is after the sweep.
    status = main(
        conclude=lambda folder, console: report.conclude(folder, console),
        choose=lambda folder: report.read_chosen(folder),
    )
    if "ray" not in sys.modules:  # Ray loads libraries that complain of what is left at the end.
        gc.freeze()  # Otherwise Python looks for garbage in all of torch before it ends: half a second.
    sys.exit(status)
