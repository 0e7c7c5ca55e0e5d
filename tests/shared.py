"""Where the shared material (image sets, published numbers) lies, for tests that skip where it is absent."""

import os
from pathlib import Path

__all__ = ["SHARED"]


def _find() -> Path | None:
    candidates = [os.environ.get("WSNET_SHARED"), Path(__file__).resolve().parents[2] / "shared"]
    return next((Path(folder) for folder in candidates if folder and Path(folder).is_dir()), None)


SHARED: Path | None = _find()
