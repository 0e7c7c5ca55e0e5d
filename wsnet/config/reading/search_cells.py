"""The cells of a sweep in which Optuna searches, each with what it may choose from and the settings chosen so far."""

import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsnet.config.errors import Mistake
from wsnet.config.published import CASE
from wsnet.config.reading.axes import Axis, Case, free_axes
from wsnet.config.reading.located import Located
from wsnet.config.reading.ranges import Range
from wsnet.config.reading.sweep_file import SweepFile
from wsnet.config.schedulers import RungConfig
from wsnet.config.search import SuggestedConfig

__all__ = ["Points", "Space", "Study", "count_of", "mistakes_of_search", "studies_of"]

Points = Sequence[Mapping[str, Any]]
"""Settings of one study, each as searched axis to value."""

Space = dict[str, list[Any] | Range]
"""Searched axis to its values, or its range."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """The search for the best setting of one cell.

    Attributes:
        name: tells it from the sweep's other studies: its case's position and the axes of its cell, as JSON.
        cell: dotted key to value, of the axes that all its settings share; and its case's label, as `case`.
        space: searched axis to its values, or its range.
        points: the settings drawn and suggested so far.
        target: number of settings to train in all.
    """

    name: str
    cell: dict[str, Any]
    space: Space
    points: list[dict[str, Any]]
    target: int

    @property
    def missing(self) -> int:
        """How many settings are still to be suggested."""
        return self.target - len(self.points)


def studies_of(
    case: Case,
    search: SuggestedConfig,
    over: Sequence[str],
    fixed: Mapping[str, Located],
    suggested: Mapping[str, Points],
) -> Iterator[tuple[Study, list[dict[str, Located]]]]:
    """The studies of a case, each with its settings so far: dotted key to value, in the order of application.

    Args:
        case: the case.
        search: how many settings to draw at random first, with which seed, and how many in all.
        over: the axes to search; the combinations of the others are the cells.
        fixed: what the command line fixes, so that it no longer varies.
        suggested: the settings of earlier starts by study name; those that no longer fit the file are left out.
    """
    free = free_axes(case, fixed)
    space = {key: axis for key, axis in free.items() if key in over}
    lists = {key: axis for key, axis in free.items() if key not in over and isinstance(axis, list)}
    plain: Space = {key: [v.plain() for v in axis] if isinstance(axis, list) else axis for key, axis in space.items()}
    for values in itertools.product(*lists.values()):
        cell = dict(zip(lists, values, strict=True))
        axes = {key: value.plain() for key, value in cell.items()}
        name = json.dumps([case.index, axes], ensure_ascii=False)
        target = _target(search, space)
        points = _points(name, plain, search, target, suggested.get(name, ()))
        label = {CASE: case.label} if case.label is not None else {}
        constants = {key: value.plain() for key, value in case.constants.items() if key not in fixed}
        study = Study(name=name, cell=label | constants | axes, space=plain, points=points, target=target)
        yield study, [{**_combination(case, free, cell, point), **fixed} for point in points]


def count_of(case: Case, search: SuggestedConfig, over: Sequence[str], fixed: Mapping[str, Located]) -> int:
    """How many settings the studies of a case make in all; arguments as of `studies_of`."""
    free = free_axes(case, fixed)
    cells = math.prod(len(axis) for key, axis in free.items() if key not in over and isinstance(axis, list))
    return cells * _target(search, {key: axis for key, axis in free.items() if key in over})


def mistakes_of_search(file: SweepFile) -> list[Mistake]:
    """A search for suggestions with nothing to search over, and schedulers that need to know all settings at once."""
    search, select, scheduler = file.config.search, file.config.report.select, file.config.scheduler
    if not isinstance(search, SuggestedConfig):
        return []
    found = []
    if select is None and file.has_report:
        rule = f"{search.name!r} needs report.select, which says what to search over, such as {{over: [optim.lr]}}"
        found.append(file.mistake(("search",), rule))
    if isinstance(scheduler, RungConfig) and (scheduler.name == "hyperband" or scheduler.mode == "sync"):
        asked = scheduler.name if scheduler.name == "hyperband" else "mode: sync"
        rule = (
            f"{asked!r} decides when all settings are known, but search {search.name!r} makes them in turn; "
            "use asha or median with mode: async"
        )
        found.append(file.mistake(("scheduler",), rule))
    return found


def _target(search: SuggestedConfig, space: Mapping[str, Axis]) -> int:
    """Number of settings to train in a cell: no more than there are, if all searched axes are lists."""
    lists = [len(axis) for axis in space.values() if isinstance(axis, list)]
    return min(search.samples, math.prod(lists)) if len(lists) == len(space) else search.samples


def _combination(
    case: Case, free: Mapping[str, Axis], cell: Mapping[str, Located], point: Mapping[str, Any]
) -> dict[str, Located]:
    """The overrides of one setting, in the order of the case's axes."""
    values = {key: cell[key] if key in cell else _located(axis, point.get(key)) for key, axis in free.items()}
    return {**case.constants, **values}


def _located(axis: Axis, value: Any) -> Located:
    if isinstance(axis, Range):
        return Located(value, axis.spot.place, axis.spot.key)
    return next(one for one in axis if _equal(one.plain(), value))


def _points(name: str, space: Space, search: SuggestedConfig, target: int, suggested: Points) -> list[dict[str, Any]]:
    """The earlier settings that the space still has, filled up with random ones to the number to start with."""
    points = {_text(point): dict(point) for point in suggested if _fits(point, space)}
    generator = random.Random(f"{search.seed}/{name}")
    for _ in range(1000 * min(search.startup, target)):  # A narrow range may not have as many.
        if len(points) >= min(search.startup, target):
            break
        point = {key: _drawn(values, generator) for key, values in space.items()}
        points.setdefault(_text(point), point)
    return list(points.values())[:target]


def _drawn(values: list[Any] | Range, generator: random.Random) -> Any:
    return generator.choice(values) if isinstance(values, list) else values.at(generator.random())


def _fits(point: Mapping[str, Any], space: Space) -> bool:
    return point.keys() == space.keys() and all(
        any(_equal(value, point[key]) for value in values) if isinstance(values, list) else values.holds(point[key])
        for key, values in space.items()
    )


def _equal(one: Any, other: Any) -> bool:
    return _text(one) == _text(other)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
