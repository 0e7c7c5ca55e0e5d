"""The combinations of a case's axes: all of them, or a random sample."""

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence

from wsnet.config.reading.axes import Axis, Case, free_axes
from wsnet.config.reading.located import Located
from wsnet.config.reading.ranges import Range
from wsnet.config.search import GridConfig, RandomConfig

__all__ = ["count", "draw"]


def draw(case: Case, search: GridConfig | RandomConfig, fixed: Mapping[str, Located]) -> Iterator[dict[str, Located]]:
    """Every combination of a case's axes, or a random sample: dotted key to value, in the order of application.

    Args:
        case: the case.
        search: how to draw. The same seed draws the same from a case, whatever the other cases contain.
        fixed: what the command line fixes, so that it no longer varies.
    """
    free = free_axes(case, fixed)
    lists = [axis for axis in free.values() if isinstance(axis, list)]
    combinations: Iterable[Sequence[Located]] = []
    if isinstance(search, RandomConfig):
        combinations = _random(free, search, case.index)
    elif len(lists) == len(free):  # A range in a grid search is a mistake that was already noted.
        combinations = itertools.product(*lists)
    for chosen in combinations:
        yield {**case.constants, **dict(zip(free, chosen, strict=True)), **fixed}


def count(case: Case, search: GridConfig | RandomConfig, fixed: Mapping[str, Located]) -> int:
    """How many combinations `draw` gives, at most; arguments as there."""
    axes = free_axes(case, fixed).values()
    product = math.prod(len(axis) for axis in axes if isinstance(axis, list))
    if not isinstance(search, RandomConfig):
        return product
    return min(product, search.samples) if all(isinstance(axis, list) for axis in axes) else search.samples


def _random(axes: Mapping[str, Axis], search: RandomConfig, index: int) -> Iterator[list[Located]]:
    generator = random.Random(f"{search.seed}/{index}")
    lists = [axis for axis in axes.values() if isinstance(axis, list)]
    if len(lists) < len(axes):
        for _ in range(search.samples):
            yield [generator.choice(a) if isinstance(a, list) else _at(a, generator.random()) for a in axes.values()]
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


def _at(axis: Range, share: float) -> Located:
    return Located(axis.at(share), axis.spot.place, axis.spot.key)
