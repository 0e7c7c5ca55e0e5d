"""Two processes run the tests, file by file; all tests that need Ray run in one of them, which starts with them."""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Two processes on two cores: more threads wait for each other.


class _FilesAndGroups(LoadGroupScheduling):
    """The tests of a file run in one process, where they share its fixtures; so do those of an `xdist_group`."""

    def _split_scope(self, nodeid: str) -> str:
        return str(super()._split_scope(nodeid)).partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _FilesAndGroups:
    """Used instead of xdist's own schedulers."""
    return _FilesAndGroups(config, log)


@pytest.hookimpl(tryfirst=True)  # xdist adds the group to the name of a test after this.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that use Ray into one group, and first: they take longest."""
    for item in items:
        if "shared_ray" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("ray"))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
