"""`scheduler`: which trials are trained to the end."""

from itertools import takewhile
from typing import Annotated, Literal

from pydantic import Field

from wsnet.config.base import Config, PositiveInt

__all__ = ["AshaConfig", "FifoConfig", "HyperbandConfig", "MedianConfig", "RungConfig", "SchedulerConfig"]

Rungs = tuple[int, ...]
"""Epochs at which a scheduler decides, in increasing order."""


class FifoConfig(Config):
    """Every trial is trained to its end."""

    name: Literal["fifo"]


class _AtRungs(Config):
    metric: Literal["validation/top1_error", "validation/top5_error", "validation/loss"] = "validation/top1_error"
    """Metric that decides, always on the validation split; lower is better."""
    mode: Literal["async", "sync"] = "async"
    """`async`: a rung decides as soon as it can, so that the order of arrival matters. `sync`: when all settings that
    can reach it have done so, so that the decisions are the same every time; settings wait longer."""


class AshaConfig(_AtRungs):
    """Successive halving (Li et al. 2020): at each rung only the best 1/eta continue.

    With several seeds, settings are compared by the median over their seeds, and all seeds of a setting stop or
    continue together. A decision, once made, holds after every restart and is never made again.
    """

    name: Literal["asha"]
    grace: PositiveInt = 1
    """First rung, in epochs."""
    eta: Annotated[int, Field(ge=2)] = 3
    """Factor between rungs; the best 1/eta of a rung continue."""
    compare: Literal["auto", "settings", "trials"] = "auto"
    """What a rung compares. `settings`: by the median over their seeds. `trials`: each one alone, as Ray's ASHA does,
    which stops single seeds. `auto`: settings if there are several seeds, else trials."""

    def rungs(self, epochs: int) -> tuple[Rungs, ...]:
        """One bracket: `grace`, `grace * eta`, `grace * eta**2`, ..., while below `epochs`."""
        return (_powers(self.grace, self.eta, epochs),)


class HyperbandConfig(_AtRungs):
    """Hyperband (Li et al. 2018): successive halving in several brackets, each of which starts one rung later.

    Settings are only compared within their bracket, by the median over their seeds.
    """

    name: Literal["hyperband"]
    grace: PositiveInt = 1
    """First rung of the first bracket, in epochs."""
    eta: Annotated[int, Field(ge=2)] = 3
    """Factor between rungs; the best 1/eta of a rung continue."""
    brackets: Annotated[int, Field(ge=2, le=20)] = 3
    """Number of brackets; the first rung of bracket b = 0, 1, ... is grace * eta**b."""

    def rungs(self, epochs: int) -> tuple[Rungs, ...]:
        """The rungs of each bracket."""
        return tuple(_powers(self.grace * self.eta**bracket, self.eta, epochs) for bracket in range(self.brackets))


class MedianConfig(_AtRungs):
    """Median stopping (Golovin et al. 2017): a setting worse than the median of the others is stopped.

    A setting's value is the median over its seeds, and all its seeds stop or continue together.
    """

    name: Literal["median"]
    grace: PositiveInt = 1
    """Epochs before the first decision."""
    interval: PositiveInt = 1
    """Decisions are made at the multiples of this number of epochs, from `grace` on."""
    min_settings: PositiveInt = 3
    """How many other settings must have reached an epoch before any is stopped there."""

    def rungs(self, epochs: int) -> tuple[Rungs, ...]:
        """One bracket: the multiples of `interval` from `grace` on that are below `epochs`."""
        first = -(-self.grace // self.interval) * self.interval
        return (tuple(range(first, epochs, self.interval)),)


RungConfig = AshaConfig | HyperbandConfig | MedianConfig
"""Schedulers that stop settings or trials at rungs."""

SchedulerConfig = Annotated[FifoConfig | RungConfig, Field(discriminator="name")]


def _powers(first: int, factor: int, epochs: int) -> Rungs:
    exponents = range(epochs.bit_length() + 1)
    return tuple(takewhile(lambda rung: rung < epochs, (first * factor**exponent for exponent in exponents)))
