"""What a search has chosen to train, `search.json`: a sweep that is continued trains the same settings."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wsnet.storage.folder import Folder, StorageError

__all__ = ["Suggestions"]

_NAME = "search.json"


class Suggestions:
    """The settings of a sweep's studies, in the order in which they were drawn and suggested.

    Args:
        sweep: the sweep's folder.
    """

    def __init__(self, sweep: Folder) -> None:
        self._sweep = sweep

    def read(self) -> dict[str, list[dict[str, Any]]]:
        """Name of each study to its settings, each as searched axis to value; empty before the first start.

        Raises:
            StorageError: the file is damaged.
        """
        data = self._sweep.read(_NAME)
        try:
            found = {} if data is None else json.loads(data)
            return {str(name): [dict(point) for point in points] for name, points in found.items()}
        except (ValueError, TypeError, AttributeError) as error:
            text = "is not a list of suggestions; delete it to have new ones made from the results"
            raise StorageError(f"{self._sweep.location}/{_NAME} {text} ({error})") from None

    def write(self, points: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Add or replace the settings of studies; those of other studies stay."""
        found = self.read() | {name: [dict(point) for point in listed] for name, listed in points.items()}
        self._sweep.write(_NAME, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())
