"""The sweep as the command line requests it; of a search, read again before each round."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wsnet.config import Sweep
from wsnet.config.reading.only_and_smoke import SMOKE_IMAGES, only, smoke
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile
from wsnet.sweep.arguments import settings

if TYPE_CHECKING:
    from wsnet.config.reading.search_cells import Points
    from wsnet.storage import Folder

__all__ = ["RequestedSweep"]


class RequestedSweep:
    """A sweep file as its command line changes it: `--set`, `--only`, `--smoke`.

    Args:
        arguments: the command line's options.

    Raises:
        ConfigError: with every mistake of the file at once.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._first_read = self._read()

    @property
    def part(self) -> Sweep:
        """The settings to train; for a search, only the random ones that it begins with."""
        return self._first_read[1]

    @property
    def is_searched(self) -> bool:
        """Whether the sweep, or its first stage, is a search that makes suggestions."""
        return bool((self.part.tuning or self.part).studies)

    @property
    def folder(self) -> "Folder":
        """Folder of the sweep, or of its first stage."""
        from wsnet.storage import Folder

        return Folder(self._arguments.storage) / (self.part.tuning or self.part).config.name

    def read(self) -> tuple[Sweep, Sweep]:
        """The whole sweep, and the part of it to train, with all that has been suggested so far."""
        if not self.is_searched:
            return self._first_read
        from wsnet.storage import Suggestions

        return self._read(Suggestions(self.folder).read())

    def read_tuning(self) -> tuple[Sweep, Sweep]:
        """Like `read`, for the first of two stages."""
        whole, part = self.read()
        assert whole.tuning is not None and part.tuning is not None
        return whole.tuning, part.tuning

    def _read(self, suggested: "Mapping[str, Points] | None" = None) -> tuple[Sweep, Sweep]:
        arguments = self._arguments
        whole = sweep_of(self._yaml(), settings(arguments), suggested)
        part = only(whole, arguments.only)
        if arguments.smoke:
            whole = part = smoke(part, images=arguments.images or SMOKE_IMAGES, steps=arguments.steps)
        return whole, part

    def _yaml(self) -> YamlFile:
        text, name = self._arguments.text, self._arguments.sweep
        return YamlFile.read(name) if text is None else YamlFile.parse(text, name)
