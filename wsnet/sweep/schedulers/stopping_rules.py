"""The rules by which settings that have arrived at a rung stop or continue."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Halving", "MedianRule", "Rule", "deal"]


class Rule(Protocol):
    """Decides which of the settings that have arrived at a rung continue."""

    def choose(self, medians: Mapping[str, float], undecided: Sequence[str], *, is_closed: bool) -> dict[str, bool]:
        """Decide about some or all of the undecided settings.

        Args:
            medians: of every setting that has arrived, decided or not, in the order of the sweep file.
            undecided: the settings that wait for a decision, in the same order.
            is_closed: whether no other setting can arrive any more; all must be decided then.

        Returns:
            Whether a setting continues, for those that are decided now.
        """
        ...


@dataclass(frozen=True)
class Halving:
    """The best 1/eta of a rung continue, and at least one. Ties are broken by the order of the sweep file.

    Attributes:
        eta: the factor between rungs.
        sync: whether to wait until the rung is closed. Otherwise, a setting continues as soon as it is among the best
            1/eta of those that have arrived; only a closed rung stops any.
    """

    eta: int
    sync: bool

    def choose(self, medians: Mapping[str, float], undecided: Sequence[str], *, is_closed: bool) -> dict[str, bool]:
        """See `Rule.choose`."""
        if self.sync and not is_closed:
            return {}
        keep = len(medians) // self.eta
        best = set(sorted(medians, key=medians.__getitem__)[: max(1, keep) if is_closed else keep])
        return {setting: setting in best for setting in undecided if is_closed or setting in best}


@dataclass(frozen=True)
class MedianRule:
    """A setting that is worse than the median of the others at the same epoch is stopped.

    Attributes:
        min_settings: how many others must have arrived before any is stopped.
        sync: whether to wait until the rung is closed; otherwise, a setting is compared with those that have arrived
            when its own last seed arrives.
    """

    min_settings: int
    sync: bool

    def choose(self, medians: Mapping[str, float], undecided: Sequence[str], *, is_closed: bool) -> dict[str, bool]:
        """See `Rule.choose`."""
        return (
            {} if self.sync and not is_closed else {setting: self._continues(medians, setting) for setting in undecided}
        )

    def _continues(self, medians: Mapping[str, float], setting: str) -> bool:
        others = [median for other, median in medians.items() if other != setting]
        return len(others) < self.min_settings or medians[setting] <= statistics.median(others)


def deal(settings: Sequence[str], *, brackets: int, eta: int) -> list[list[str]]:
    """Deal settings to Hyperband's brackets, in their order.

    Of `brackets` brackets, the one with the first rung grace * eta**b gets a share proportional to
    eta**s / (s + 1) with s = brackets - 1 - b (Li et al. 2018, algorithm 1, with s_max = brackets - 1). Each setting
    goes to the bracket that is furthest below its share, so that a setting added at the end moves no other.

    Args:
        settings: the settings.
        brackets: number of brackets.
        eta: factor between rungs.

    Returns:
        The settings of each bracket.
    """
    shares = [eta**s / (s + 1) for s in reversed(range(brackets))]
    dealt: list[list[str]] = [[] for _ in shares]
    for setting in settings:
        most_behind = min(range(brackets), key=lambda bracket: (len(dealt[bracket]) + 1) / shares[bracket])
        dealt[most_behind].append(setting)
    return dealt
