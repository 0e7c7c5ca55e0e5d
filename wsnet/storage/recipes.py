"""Reports of a sweep's earlier recipes, kept where its folder now has another: `recipes/ID/` beside `trials/`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from wsnet.storage.first_report import FIRST_REPORT
from wsnet.storage.folder import Folder, StorageError
from wsnet.storage.manifest import Manifest

__all__ = ["earlier_recipes", "recipe_changes", "recipe_id", "set_aside_report"]

_RECIPES = "recipes"
_OF_REPORT = ("sweep.json", "sweep.yaml", "trials.csv", FIRST_REPORT)


def recipe_id(manifest: Manifest) -> str:
    """Identifies what no axis varies: eight hexadecimal digits."""
    text = json.dumps(manifest.report.get("fixed", {}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def recipe_changes(before: Manifest, now: Manifest) -> list[str]:
    """Where the options that no axis varies differ, such as `optim.weight_decay was 0.0001, now 0.0005`.

    An option that has become an axis, or was one, is not a change: the trials of both can stand in one table.
    """
    old, new = before.report.get("fixed"), now.report.get("fixed")
    if old is None or new is None:  # Manifests of earlier versions do not say.
        return []
    return list(_differences(old, new, axes={*before.axes, *now.axes}))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], *, axes: set[str]) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        if key not in axes and (key not in old or key not in new or old[key] != new[key]):
            was, now = (_shown(values[key]) if key in values else "not set" for values in (old, new))
            yield f"{key} was {was}, now {now}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def set_aside_report(folder: Folder, now: Manifest) -> str | None:
    """Before a manifest of another recipe is written, move the earlier recipe's manifest and report to `recipes/ID/`.

    Args:
        folder: the sweep's folder.
        now: the manifest that is about to be written.

    Returns:
        a sentence about what has changed and where the earlier report is; None where there is no other recipe.
    """
    with suppress(StorageError):  # No manifest yet, or one that cannot be read.
        before = Manifest.read(folder)
        changes = recipe_changes(before, now)
        if changes and (folder / "trials").names():
            earlier = folder / _RECIPES / recipe_id(before)
            # The manifest comes last: the move goes on where it was interrupted.
            for name in sorted(filter(_is_of_report, folder.names()), key=lambda name: name == "sweep.json"):
                earlier.write(name, folder.read(name) or b"")
                folder.delete(name)
            _bring_note_back(folder, now)
            return f"the recipe has changed ({'; '.join(changes)}): its earlier report is in {earlier.location}"
    return None


def _bring_note_back(folder: Folder, now: Manifest) -> None:
    """If the folder has had this recipe before, what its first report was about counts again.

    Otherwise seeds that were added after that report would seem to have been there from the beginning.
    """
    note = (folder / _RECIPES / recipe_id(now)).read(FIRST_REPORT)
    if note is not None:
        folder.write(FIRST_REPORT, note)


def _is_of_report(name: str) -> bool:
    return name in _OF_REPORT or name.startswith(("table", "figure", "report."))


def earlier_recipes(folder: Folder) -> list[tuple[Folder, Manifest]]:
    """The earlier recipes of a sweep's folder: the folder of each one's report, and its manifest."""
    found = []
    for name in sorted((folder / _RECIPES).names()):
        with suppress(StorageError):
            found.append((folder / _RECIPES / name, Manifest.read(folder / _RECIPES / name)))
    return found
