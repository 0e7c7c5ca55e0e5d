"""`python -m wsnet.layers check NORM`: check a norm, one of yours or one of wsnet's, and print a report card."""

import sys

from wsnet.layers.check.cli import main

if __name__ == "__main__":
    sys.exit(main())
