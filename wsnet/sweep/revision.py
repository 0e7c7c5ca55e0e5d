"""The git revision that a sweep is trained with."""

import subprocess
from pathlib import Path

__all__ = ["source_revision"]


def source_revision() -> str | None:
    """Git revision of this code, followed by `+` if tracked files have changed since; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
