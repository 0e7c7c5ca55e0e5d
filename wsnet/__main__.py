"""`python -m wsnet COMMAND`, the same as `wsnet COMMAND`."""

import sys

from wsnet.cli import main

if __name__ == "__main__":
    sys.exit(main())
