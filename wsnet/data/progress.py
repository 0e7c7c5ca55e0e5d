"""Lines on stderr about files that are read for minutes or hours. A status display or a log can hold them as well."""

import sys
import time
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from wsnet.data.listing import Listing

__all__ = ["Progress"]

_FIRST, _LONGEST = 2.0, 60.0
"""Seconds until progress is first told; the pauses double, up to the longest."""


class Progress:
    """Tells now and then how far hashing is.

    Args:
        listing: the files of a set.
        missing: which of them are to be read.
    """

    def __init__(self, listing: Listing, missing: NDArray[np.int64]) -> None:
        self._root, self._sizes, self._files = listing.root, listing.stamps[:, 0], len(missing)
        self._bytes = int(self._sizes[missing].sum())
        self._done, self._done_files = 0, 0
        self._began = time.monotonic()
        self._pause = _FIRST
        self._next = self._began + _FIRST

    def due(self, at: NDArray[np.int64]) -> bool:
        """Count files that are done; tell and return True when the pause is over."""
        self._done += int(self._sizes[at].sum())
        self._done_files += len(at)
        now = time.monotonic()
        if now < self._next:
            return False
        self._pause = min(2 * self._pause, _LONGEST)
        self._next = now + self._pause
        rate = self._done / (now - self._began)
        left = timedelta(seconds=round((self._bytes - self._done) / max(rate, 1)))
        print(
            f"{self._root}: reading every image once to hash it: {self._done_files:,} of {self._files:,} images, "
            f"{self._done / 1e9:.1f} of {self._bytes / 1e9:.1f} GB, {rate / 1e6:.0f} MB/s, {left} left",
            file=sys.stderr,
            flush=True,
        )
        return True
