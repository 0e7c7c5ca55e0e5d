"""Tables and a figure of a sweep. See `python analyze.py --help`."""

import sys

from wsnet.report.cli import main

if __name__ == "__main__":
    sys.exit(main())
