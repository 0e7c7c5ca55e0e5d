"""A sweep that has been read: its settings, the axes along which they differ, and its stages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from wsnet.config.compare import Declared
from wsnet.config.identity import canonical_text
from wsnet.config.reading.axes import hashable
from wsnet.config.reading.search_cells import Study
from wsnet.config.report import Tuned
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = ["Setting", "Sweep", "distinct", "varying"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One combination: a complete configuration, and what distinguishes it from the others.

    Attributes:
        config: the checked configuration, with seed 0.
        axes: dotted key to value, of every key that a case or the grid sets; and its case's label, as `case`.
        case: position of its case in the file; 0 where the file has no cases.
        also: the axes of further combinations that are the same setting, such as micro-batch sizes with a norm that
            uses no batch statistics. The setting is trained once, and shown at all these places.
    """

    config: TrialConfig
    axes: dict[str, Any]
    case: int = 0
    also: tuple[dict[str, Any], ...] = ()

    @property
    def places(self) -> tuple[dict[str, Any], ...]:
        """`axes` and `also`."""
        return (self.axes, *self.also)

    def where(self, fits: Callable[[dict[str, Any]], bool]) -> "Setting | None":
        """The setting at only those of its places that fit; None if none does."""
        places = [axes for axes in self.places if fits(axes)]
        return replace(self, axes=places[0], also=tuple(places[1:])) if places else None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep file, read and checked.

    Attributes:
        config: the sweep as written.
        settings: every setting, in the file's order.
        axes: dotted keys that vary between the settings, in the file's order.
        warnings: what is allowed but looks like an oversight, as `file:line: key: text`.
        tuning: with `stages`, the first stage, as a sweep of its own; this one is then the second stage, with the
            settings of every candidate.
        tuned: set for a second stage that holds only the candidates chosen.
        is_stage: whether it is one of two stages.
        is_smoke: whether it is the reduced sweep of `--smoke`.
        studies: with a search that makes suggestions, its cells; `settings` has only those drawn and suggested so far.
        base: what the trials share, nested: the file's `base` with what its stage and the command line fix.
        departures: with published numbers, where the command line departs from their recipe, in words.
        comparisons: those that `report.compare` declares; None if there are none.
    """

    config: SweepConfig
    settings: list[Setting]
    axes: list[str]
    warnings: list[str]
    tuning: "Sweep | None" = None
    tuned: Tuned | None = None
    is_stage: bool = False
    is_smoke: bool = False
    studies: tuple[Study, ...] = ()
    base: dict[str, Any] = field(default_factory=dict)
    departures: tuple[str, ...] = ()
    comparisons: Declared | None = None


def varying(settings: list[Setting]) -> list[str]:
    """Keys that differ between settings; a key that all share is not an axis."""
    places = [axes for setting in settings for axes in setting.places]
    keys = list(dict.fromkeys(key for axes in places for key in axes))
    if len(places) == 1:
        return keys
    first = places[0]
    return [k for k in keys if k not in first or any(k not in axes or axes[k] != first[k] for axes in places)]


def distinct(settings: Iterable[Setting]) -> list[Setting]:
    """Settings of equal identity merged, to be trained once: a range may draw one twice, `--set` may make two equal,
    and an axis may have no effect in some case."""
    groups: dict[str, list[Setting]] = {}
    for setting in settings:
        groups.setdefault(canonical_text(setting.config), []).append(setting)
    return [_merged(group) for group in groups.values()]


def _merged(equal: list[Setting]) -> Setting:
    """The first of equal settings, at the places of all of them."""
    first, *others = equal
    if not others:
        return first
    also, seen = list(first.also), set(map(hashable, first.places))
    for setting in others:
        new = {hashable(axes): axes for axes in setting.places}
        also += [axes for key, axes in new.items() if key not in seen]
        seen |= new.keys()
    return replace(first, also=tuple(also))
