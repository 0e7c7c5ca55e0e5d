"""How many seeds would settle an open comparison: an estimate, from the seeds that are there."""

import math
import statistics
from collections.abc import Sequence

from wsnet.config.compare import ALPHA, smallest_rank_sum_p

__all__ = ["MOST_SEEDS", "seeds_needed"]

MOST_SEEDS = 100
"""Per setting. An estimate above is given as none: it says no more than that the difference is small."""


def seeds_needed(
    first: Sequence[float], second: Sequence[float], *, comparisons: int = 1, alpha: float = ALPHA, power: float = 0.8
) -> int | None:
    """Estimate how many seeds each of two settings needs, so that the rank-sum test would probably tell them apart.

    This is an estimate, and a rough one: it takes the difference and the spread of the few seeds that are there for
    the true ones. Noether's formula for the rank-sum test (Noether 1987, J. Am. Stat. Assoc. 82, section 3) gives
    n = (z[1 - alpha / 2] + z[power])^2 / (6 (P - 1/2)^2) for each of two equal sets, where P is the probability that a
    value of one set is above one of the other. P is that of two normal distributions with the Hodges-Lehmann estimate
    as their difference and the pooled standard deviation as their spread; where a seed diverged, it is the share of
    pairs. Holm's correction is taken at its strictest: alpha is divided by the number of comparisons.

    Args:
        first: values of one setting, at least one.
        second: values of the other, at least one.
        comparisons: size of the family of comparisons, at least 1.
        alpha: largest p-value, after the correction, that settles a comparison.
        power: probability with which the test is to settle it.

    Returns:
        the number of seeds of each setting, never fewer than such a p-value needs; None if there is no difference to be
        seen, or if it is more than `MOST_SEEDS`.
    """
    level = alpha / comparisons
    distance = abs(_probability_above(first, second) - 0.5)
    normal = statistics.NormalDist()
    quantiles = normal.inv_cdf(1 - level / 2) + normal.inv_cdf(power)
    if 6 * distance**2 * MOST_SEEDS < quantiles**2:
        return None
    needed = math.ceil(quantiles**2 / (6 * distance**2))
    while smallest_rank_sum_p(needed, needed) > level:
        needed += 1
    return needed if needed <= MOST_SEEDS else None


def _probability_above(first: Sequence[float], second: Sequence[float]) -> float:
    """Estimated probability that a value of the first set is above one of the second."""
    spread = _pooled_deviation(first, second)
    if spread is None or spread == 0:
        pairs = [(a > b) + (a == b) / 2 for a in first for b in second]
        return sum(pairs) / len(pairs)
    shift = statistics.median(a - b for a in first for b in second)
    return statistics.NormalDist().cdf(shift / (spread * math.sqrt(2)))


def _pooled_deviation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The standard deviation within the two sets; None if a value is infinite, or if there are too few."""
    freedom = len(first) + len(second) - 2
    if freedom < 1 or not all(map(math.isfinite, (*first, *second))):
        return None
    squares = sum((value - statistics.fmean(values)) ** 2 for values in (first, second) for value in values)
    return math.sqrt(squares / freedom)
