"""Where images are read from and where their decoded copies are kept."""

import os
from pathlib import Path

__all__ = ["cache_folder", "data_root"]


def data_root(option: str | Path | None = None) -> Path:
    """The folder of image sets: `option` (--data-root), else $WSNET_DATA, else ./data."""
    return Path(option or os.environ.get("WSNET_DATA") or "data").expanduser()


def cache_folder() -> Path:
    """The folder of decoded image sets: $WSNET_CACHE, else ~/.cache/wsnet."""
    return Path(os.environ.get("WSNET_CACHE") or "~/.cache/wsnet").expanduser()
