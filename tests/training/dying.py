"""Folders in which a crash is simulated at a chosen write."""

from pathlib import Path

from wsnet.storage import Folder

__all__ = ["Died", "DyingFolder"]


class Died(BaseException):
    """Stands for a crash: nothing catches it."""


class DyingFolder(Folder):
    """A folder whose process dies right before, or half-way through, a chosen write.

    Args:
        location: where it is.
        left: how many writes there are before that; several folders may share the list.
    """

    def __init__(self, location: Path, left: list[int]) -> None:
        super().__init__(location)
        self.left = left

    def write(self, name: str, data: bytes) -> None:
        self._live()
        super().write(name, data)

    def append(self, name: str, data: bytes) -> None:
        try:
            self._live()
        except Died:
            super().append(name, data[: len(data) // 2])
            raise
        super().append(name, data)

    def rename(self, name: str, new: str) -> None:
        self._live()
        super().rename(name, new)

    def delete(self, name: str) -> None:
        if name != ".lease":  # This process lives on, so nobody would take it over.
            self._live()
        super().delete(name)

    def _live(self) -> None:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise Died
