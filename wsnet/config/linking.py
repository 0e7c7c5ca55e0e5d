"""The published numbers of a sweep file: every mistake in `report.published`, and when they are left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from wsnet.config.errors import Keys, Mistake, dotted
from wsnet.config.identity import changes_numbers
from wsnet.config.keys import is_key, unknown_key
from wsnet.config.overrides import Override, covers
from wsnet.config.published import CASE, misnamed, rows_of
from wsnet.config.source import Source
from wsnet.config.sweep import SweepConfig

__all__ = ["cells_of_one_row", "mistakes_of_link", "unlinked"]

_PATH: Keys = ("report", "published")
_COMPARED = ("data.name", "model")
"""With another set or model no published number is one to compare with, whatever tells the cells apart."""


def mistakes_of_link(config: SweepConfig, source: Source, *, own: bool) -> list[Mistake]:
    """What names no column, no published value or no axis.

    Args:
        config: the sweep.
        source: its file.
        own: whether an own norm is in use, whose options may be axes.
    """
    link = config.report.published
    if link is None:
        return []
    mistakes = [_mistake(source, keys, text) for keys, text in misnamed(link)]
    for column, key in link.match.items():
        if key == CASE and not any(CASE in case for case in config.cases):
            text = "no case has a label; give one to each, such as {case: ResNet-110, model.depth: 110}"
            mistakes.append(_mistake(source, ("match", column), text))
        elif key != CASE and not is_key(key, own=own):
            text = unknown_key(key).replace("key", f"key {key!r}", 1)
            mistakes.append(_mistake(source, ("match", column), text))
    return mistakes


def cells_of_one_row(config: SweepConfig, cells: Sequence[Mapping[str, Any]], source: Source) -> list[Mistake]:
    """Published numbers that would stand beside more than one cell.

    Args:
        config: the sweep.
        cells: dotted key to value of each; those that differ in what report.select chooses over are one cell.
        source: the sweep's file.
    """
    link = config.report.published
    if link is None:
        return []
    first: dict[str, Mapping[str, Any]] = {}
    chosen = _chosen(config)
    for cell in ({key: value for key, value in cell.items() if key not in chosen} for cell in cells):
        for row in rows_of(link, cell):
            other = first.setdefault(row.id, cell)
            if other != cell:
                differ = [key for key in {**other, **cell} if other.get(key) != cell.get(key)]
                text = (
                    f"the published number {row.id!r} would stand beside several cells, which differ in "
                    f"{', '.join(differ)}; tell them apart in match"
                )
                return [_mistake(source, ("match",), text)]
    return []


def unlinked(config: SweepConfig, fixed: Mapping[str, Override], source: Source) -> tuple[SweepConfig, list[str]]:
    """The sweep without its published numbers where the command line fixes what they are for, and why.

    Args:
        config: the sweep.
        fixed: dotted keys that `--set` fixes.
        source: the sweep's file.
    """
    link = config.report.published
    keys = set() if link is None else {*_COMPARED, *link.match.values()}
    found = [key for key in fixed if any(covers(key, other) or covers(other, key) for other in keys)]
    if not found:
        changed = [] if link is None else [key for key in fixed if changes_numbers(key) and not key.startswith("seed")]
        if not changed:
            return config, []
        text = f"published numbers are of another recipe, since --set fixes {', '.join(changed)}"
        return config, [f"{source.place(_PATH)}: {dotted(_PATH)}: {text}"]
    text = f"published numbers are left out, since --set fixes {', '.join(found)}"
    report = config.report.model_copy(update={"published": None})
    return config.model_copy(update={"report": report}), [f"{source.place(_PATH)}: {dotted(_PATH)}: {text}"]


def _chosen(config: SweepConfig) -> set[str]:
    """Axes that make no cells of their own, unless the published numbers ask for them."""
    select, link = config.report.select, config.report.published
    asked = [] if link is None else list(link.match.values())
    return {key for key in (() if select is None else select.over) if not any(covers(other, key) for other in asked)}


def _mistake(source: Source, keys: Keys, text: str) -> Mistake:
    path = (*_PATH, *keys)
    return Mistake(source.place(path), dotted(path), text)
