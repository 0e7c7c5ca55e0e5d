"""The epochs at which successive halving decides."""

from wsnet.config.sweep import AshaConfig

__all__ = ["rungs_of"]


def rungs_of(config: AshaConfig, max_t: int) -> tuple[int, ...]:
    """The rungs of a sweep: `grace` epochs, times `eta`, times `eta` again, ... below `max_t`, where nothing is left.

    Args:
        config: first rung, and the factor between rungs.
        max_t: epochs of the longest trial.
    """
    rungs, rung = [], config.grace
    while rung < max_t:
        rungs.append(rung)
        rung *= config.eta
    return tuple(rungs)
