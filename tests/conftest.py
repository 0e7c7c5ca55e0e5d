"""Several processes run the tests, file by file; two of them begin with the files that need Ray, which take longest."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("OMP_NUM_THREADS", "1")  # As many processes as cores: more threads would wait for each other.

# Ray's processes give way to all others by default, and so would be the last to end, alone.
os.environ.setdefault("RAY_worker_niceness", "0")

# Its processes take ten seconds of CPU time to start.
os.environ.setdefault("WSNET_DASHBOARD", "0")


# Tests that start sweeps as processes: together they take about as long as the others that need a Ray.
_SECOND_RAY = ("test_cli.py", "test_interrupt.py", "test_nodes.py", "test_out_of_memory.py")


@cache
def _ray(file: Path) -> str | None:
    """Which Ray a file's tests share, if any: each of the two is in one process, and they take about as long.

    Trials of several workers are all in the first, where they share a fixture.
    """
    text = file.read_text(encoding="utf-8")
    if not any(sign in text for sign in ("shared_ray", "on_two_workers", "cluster: str")):
        return None
    is_second = file.parent.name == "sweep" and file.name in _SECOND_RAY
    return "second ray" if is_second else "first ray"


class _FilesAndRay(LoadScopeScheduling):
    """The tests of a file run in one process, where they share its fixtures; so do all files that share a Ray."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _ray(self.config.rootpath / file) or file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _FilesAndRay:
    """Used instead of xdist's own schedulers."""
    return _FilesAndRay(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that need Ray first: together they take longest."""
    items.sort(key=lambda item: _ray(item.path) or "without ray")
