"""Two processes run the tests, file by file; one of them runs all files that need Ray, and runs them first."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Two processes on two cores: more threads would wait for each other.

# Ray's processes give way to all others by default, and so would be the last to end, alone.
os.environ.setdefault("RAY_worker_niceness", "0")


@cache
def _needs_ray(file: Path) -> bool:
    text = file.read_text(encoding="utf-8")
    return any(sign in text for sign in ("shared_ray", "on_two_workers", "cluster: str", "ray_session("))


class _FilesAndRay(LoadScopeScheduling):
    """The tests of a file run in one process, where they share its fixtures; so do all files that share a Ray."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "ray" if _needs_ray(self.config.rootpath / file) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _FilesAndRay:
    """Used instead of xdist's own schedulers."""
    return _FilesAndRay(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that need Ray first: together they take longest."""
    items.sort(key=lambda item: not _needs_ray(item.path))
