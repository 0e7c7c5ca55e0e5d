"""The axes of a sweep file: what its cases and grids set and vary, their mistakes, and the combinations drawn."""

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wsnet.config.errors import Keys, Mistake, nearest
from wsnet.config.identity import affects_identity
from wsnet.config.published import CASE
from wsnet.config.reading.keys import NOT_AN_AXIS, covers, dotted_keys
from wsnet.config.reading.located import Located, Spot
from wsnet.config.reading.sweep_file import SweepFile
from wsnet.config.sweep import RandomConfig, SearchConfig

__all__ = ["MOST_SETTINGS", "Case", "count", "draw", "hashable", "read_cases"]

MOST_SETTINGS = 100_000
"""Of a sweep file: more would take minutes to read, and years to train."""

_RANGES = ("uniform", "log_uniform")
_RANGE_RULE = "must be {uniform: [low, high]} or {log_uniform: [low, high]} with low < high, and low > 0 on a log scale"


@dataclass(frozen=True)
class _Range:
    """A range of numbers to draw from.

    Attributes:
        low, high: its ends.
        log: whether the draw is uniform in the logarithm.
        spot: where it was written.
    """

    low: float
    high: float
    log: bool
    spot: Spot

    def at(self, share: float) -> Located:
        """The value at a fraction (0 to 1) of the range, rounded to six digits for readability."""
        low, high = self.low, self.high
        value = low * (high / low) ** share if self.log else low + share * (high - low)
        return Located(min(max(float(f"{value:.6g}"), low), high), self.spot.place, self.spot.key)


Axis = list[Located] | _Range


@dataclass(frozen=True)
class Case:
    """One case: what it sets, and the axes that vary in it.

    Attributes:
        index: its position in the file; 0 where the file has no cases.
        label: what the file calls it, or None.
        constants: dotted key to its value.
        axes: dotted key to its values, the grid's first, then the case's own. A key in both takes the case's values.
    """

    index: int
    label: str | None
    constants: dict[str, Located]
    axes: dict[str, Axis]


def read_cases(file: SweepFile) -> tuple[list[Case], list[Mistake], set[str]]:
    """The cases of a sweep file.

    Returns:
        The cases; the mistakes in them; and the dotted keys that only seem missing because of those mistakes.
    """
    reader = _Reader(file)
    shared = reader.axes(file.config.grid, ("grid",))
    cases = []
    for index, entries in enumerate(file.config.cases or ({},)):
        path: Keys = ("cases", index)
        grid = entries.get("grid", {})
        if not isinstance(grid, dict):
            reader.mistake((*path, "grid"), f"must be a mapping of keys to lists, but got {grid!r}")
            grid = {}
        axes = {**shared, **reader.axes(grid, (*path, "grid"))}
        label = reader.label(entries.get(CASE), (*path, CASE))
        constants = reader.constants([key for key in entries if key not in ("grid", CASE)], path)
        reader.check_overlaps(constants, axes)
        free = {key: axis for key, axis in axes.items() if key not in constants}
        cases.append(Case(index, label, constants, free))
    return cases, reader.mistakes, reader.hidden


def draw(case: Case, search: SearchConfig, fixed: Mapping[str, Located]) -> Iterator[dict[str, Located]]:
    """Every combination of a case's axes, or a random sample: dotted key to value, in the order of application.

    Args:
        case: the case.
        search: how to draw. The same seed draws the same from a case, whatever the other cases contain.
        fixed: what the command line fixes, so that it no longer varies.
    """
    free = _free(case, fixed)
    lists = [axis for axis in free.values() if isinstance(axis, list)]
    combinations: Iterable[Sequence[Located]] = []
    if isinstance(search, RandomConfig):
        combinations = _random(free, search, case.index)
    elif len(lists) == len(free):  # A range in a grid search is a mistake that was already noted.
        combinations = itertools.product(*lists)
    for chosen in combinations:
        yield {**case.constants, **dict(zip(free, chosen, strict=True)), **fixed}


def count(case: Case, search: SearchConfig, fixed: Mapping[str, Located]) -> int:
    """How many combinations `draw` gives, at most; arguments as there."""
    axes = _free(case, fixed).values()
    product = math.prod(len(axis) for axis in axes if isinstance(axis, list))
    if not isinstance(search, RandomConfig):
        return product
    return min(product, search.samples) if all(isinstance(axis, list) for axis in axes) else search.samples


def _free(case: Case, fixed: Mapping[str, Located]) -> dict[str, Axis]:
    return {key: axis for key, axis in case.axes.items() if not any(covers(other, key) for other in fixed)}


def _random(axes: Mapping[str, Axis], search: RandomConfig, index: int) -> Iterator[list[Located]]:
    generator = random.Random(f"{search.seed}/{index}")
    lists = [axis for axis in axes.values() if isinstance(axis, list)]
    if len(lists) < len(axes):
        for _ in range(search.samples):
            yield [generator.choice(a) if isinstance(a, list) else a.at(generator.random()) for a in axes.values()]
        return
    total = math.prod(map(len, lists))
    numbers: set[int] = set()  # Without replacement: a repeated setting would not be trained again.
    if total <= search.samples:
        numbers.update(range(total))
    while len(numbers) < min(total, search.samples):
        numbers.add(generator.randrange(total))
    yield from (_combination(lists, number) for number in sorted(numbers))


def _combination(lists: list[list[Located]], number: int) -> list[Located]:
    """The combination with this number, the last axis varying fastest: the number's digits in mixed radix."""
    chosen = []
    for axis in reversed(lists):
        number, digit = divmod(number, len(axis))
        chosen.append(axis[digit])
    return chosen[::-1]


class _Reader:
    """Collects the mistakes of all cases and grids."""

    def __init__(self, file: SweepFile) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []
        self.hidden: set[str] = set()

    def mistake(self, path: Keys, text: str) -> None:
        self.mistakes.append(self.file.mistake(path, text))

    def label(self, value: Any, path: Keys) -> str | None:
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.mistake(path, f"a case's label must be a string, but got {value!r}")
        return None

    def constants(self, keys: Iterable[str], path: Keys) -> dict[str, Located]:
        return {key: self._written((*path, key)) for key in keys if self._may_be_set(key, (*path, key))}

    def axes(self, grid: Mapping[str, Any], path: Keys) -> dict[str, Axis]:
        axes = {}
        for key, values in grid.items():
            if self._may_be_set(key, (*path, key)):
                axis = self._axis(key, values, (*path, key))
                if axis is None:
                    self.hidden.add(key)
                else:
                    axes[key] = axis
        return axes

    def check_overlaps(self, constants: dict[str, Located], axes: dict[str, Axis]) -> None:
        for key in constants.keys() & axes.keys():
            text = "is set by the case and varied by a grid; keep one of them"
            self.mistakes.append(_spot(constants[key]).mistake(text))
        order: dict[str, Located | Axis] = {**axes, **constants}
        keys = [*constants, *(key for key in axes if key not in constants)]
        for index, key in enumerate(keys):
            section = next((later for later in keys[index + 1 :] if covers(later, key)), None)
            if section is not None:
                text = f"has no effect: {section!r} replaces the whole section after it"
                self.mistakes.append(_spot(order[key]).mistake(text))

    def _may_be_set(self, key: str, path: Keys) -> bool:
        if key in NOT_AN_AXIS:
            self.mistake(path, NOT_AN_AXIS[key])
            return False
        if key not in self.file.keys:
            self.mistake(path, self.file.keys.unknown(key))
            if (meant := nearest(key, dotted_keys())) is not None:
                self.hidden.add(meant)
            return False
        return True

    def _axis(self, key: str, values: Any, path: Keys) -> Axis | None:
        if not affects_identity(key):
            self.mistake(path, "does not change a trial's numbers, so it can not be an axis; set it in base")
        elif isinstance(values, dict) and set(values) & set(_RANGES):
            return self._range(values, path)
        elif not isinstance(values, list) or not values:
            self.mistake(path, f"an axis must be a list of at least one value, but got {values!r}")
        elif len({hashable(value) for value in values}) < len(values):
            self.mistake(path, f"an axis must not hold a value twice, but got {values!r}")
        else:
            return [self._written((*path, index), key=path) for index in range(len(values))]
        return None

    def _range(self, values: dict[str, Any], path: Keys) -> Axis | None:
        kind, bounds = next(iter(values.items()))
        log = kind == "log_uniform"
        numbers = isinstance(bounds, list) and len(bounds) == 2 and all(type(bound) in (int, float) for bound in bounds)
        low, high = bounds if numbers else (0, 0)
        if len(values) > 1 or not -1e300 < low < high < 1e300 or (log and low <= 0):
            self.mistake(path, f"{_RANGE_RULE}, but got {values!r}")
        elif not isinstance(self.file.config.search, RandomConfig):
            self.mistake(path, "a range needs search: {name: random, samples: N}")
        else:
            return _Range(float(low), float(high), log, self.file.tree.spot(path))
        return None

    def _written(self, path: Keys, key: Keys | None = None) -> Located:
        """The value at a path of the file, to be put elsewhere; it keeps the key that it was written under."""
        value = self.file.tree.at(path)
        assert value is not None, "only what the file holds is asked for"
        return replace(value, key=self.file.tree.spot(key or path).key)


def _spot(item: Located | Axis) -> Spot:
    if isinstance(item, _Range):
        return item.spot
    return (item[0] if isinstance(item, list) else item).spot(())


def hashable(value: Any) -> Any:
    """A hashable value, equal for two values of an axis if these are the same."""
    if isinstance(value, dict):
        return frozenset((key, hashable(inner)) for key, inner in value.items())
    # The type, since True == 1 in Python, though not in YAML.
    return tuple(map(hashable, value)) if isinstance(value, list) else (isinstance(value, bool), value)
