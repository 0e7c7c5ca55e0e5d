"""The axes of a sweep file: what its cases and grids set and vary, and their mistakes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wsnet.config.errors import Keys, Mistake, nearest
from wsnet.config.identity import affects_identity
from wsnet.config.published import CASE
from wsnet.config.reading.keys import NOT_AN_AXIS, covers, dotted_keys, takes
from wsnet.config.reading.located import Located, Spot
from wsnet.config.reading.ranges import RANGE_RULE, SCALES, Range, whole_numbers
from wsnet.config.reading.sweep_file import SweepFile
from wsnet.config.search import GridConfig, SuggestedConfig

__all__ = ["Axis", "Case", "free_axes", "hashable", "read_cases"]

Axis = list[Located] | Range


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

    @property
    def ranges(self) -> dict[str, Spot]:
        """Dotted key to place, of the axes that are ranges."""
        return {key: axis.spot for key, axis in self.axes.items() if isinstance(axis, Range)}


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


def free_axes(case: Case, fixed: Mapping[str, Located]) -> dict[str, Axis]:
    """The axes of a case that the command line has not fixed."""
    return {key: axis for key, axis in case.axes.items() if not any(covers(other, key) for other in fixed)}


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
        elif isinstance(values, dict) and set(values) & set(SCALES):
            return self._range(key, values, path)
        elif isinstance(values, dict) and values and all(f"{key}.{inner}" in self.file.keys for inner in values):
            self.mistake(path, f"an axis is a single key with dots; write {self._dotted(key, values)}: [...]")
        elif not isinstance(values, list) or not values:
            other = ", or a range such as {log_uniform: [0.01, 1]}" if isinstance(values, dict | str) else ""
            self.mistake(path, f"an axis must be a list of at least one value{other}, but got {values!r}")
        else:
            once = {hashable(value): index for index, value in reversed([*enumerate(values)])}
            if len(once) < len(values):
                self.mistake(path, f"an axis must not hold a value twice, but got {values!r}")
            return [self._written((*path, index), key=path) for index in sorted(once.values())]
        return None

    def _range(self, key: str, values: dict[str, Any], path: Keys) -> Axis | None:
        kind, bounds = next(iter(values.items()))
        scale = SCALES.get(kind, "linear")
        numbers = isinstance(bounds, list) and len(bounds) == 2 and all(type(bound) in (int, float) for bound in bounds)
        low, high = bounds if numbers else (0, 0)
        beyond = (scale == "log" and low <= 0) or (scale == "one_minus_log" and high >= 1)
        if len(values) > 1 or not -1e300 < low < high < 1e300 or beyond:
            self.mistake(path, f"{RANGE_RULE}, but got {values!r}")
        elif key in dotted_keys() and not takes(key, float):
            rule = "takes no range of numbers; list its values instead"
            if takes(key, int):
                example = whole_numbers(key, low, high, scale)
                rule = f"takes whole numbers, but a range has fractions; list its values instead, such as {example}"
            self.mistake(path, rule)
        elif isinstance(search := self.file.config.search, GridConfig):
            self.mistake(
                path, "a range needs search: {name: random, samples: N}, or tpe or gaussian_process (docs/search.md)"
            )
        elif isinstance(search, SuggestedConfig) and not self._is_searched(key):
            self.mistake(path, f"search {search.name!r} draws only from the ranges that report.select.over names")
        else:
            return Range(float(low), float(high), scale, self.file.tree.spot(path))
        return None

    def _is_searched(self, key: str) -> bool:
        select = self.file.config.report.select
        return select is None or key in select.over

    def _dotted(self, key: str, values: Any) -> str:
        """The first dotted key of nested ones."""
        name = next(iter(values), None) if isinstance(values, dict) else None
        inner = f"{key}.{name}"
        return self._dotted(inner, values[name]) if inner in self.file.keys else key

    def _written(self, path: Keys, key: Keys | None = None) -> Located:
        """The value at a path of the file, to be put elsewhere; it keeps the key that it was written under."""
        value = self.file.tree.at(path)
        assert value is not None, "only what the file holds is asked for"
        return replace(value, key=self.file.tree.spot(key or path).key)


def _spot(item: Located | Axis) -> Spot:
    if isinstance(item, Range):
        return item.spot
    return (item[0] if isinstance(item, list) else item).spot(())


def hashable(value: Any) -> Any:
    """A hashable value, equal for two values of an axis if these are the same."""
    if isinstance(value, dict):
        return frozenset((key, hashable(inner)) for key, inner in value.items())
    # The type, since True == 1 in Python, though not in YAML.
    return tuple(map(hashable, value)) if isinstance(value, list) else (isinstance(value, bool), value)
