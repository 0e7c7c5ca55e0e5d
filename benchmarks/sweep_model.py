"""A model of the wall time of a sweep: trials x epochs x nodes. docs/scaling.md says how far it holds."""

import math
from dataclasses import dataclass

__all__ = ["COSTS", "Costs", "Prediction", "Shape", "wall_time"]


@dataclass(frozen=True)
class Costs:
    """What a sweep takes apart from its epochs, in seconds.

    Attributes:
        start: until the first processes of trials start, and from the last trial's end to the sweep's.
        process: CPU time of a process until its first trial begins.
        trial: of its slot, for each trial.
        epoch: of its slot, for each epoch.
        driver_trial: of the driver, for each trial.
        driver_epoch: of the driver, for each epoch.
    """

    start: float
    process: float
    trial: float
    epoch: float
    driver_trial: float
    driver_epoch: float


COSTS = Costs(start=6.0, process=7.0, trial=0.05, epoch=0.015, driver_trial=0.008, driver_epoch=0.0018)
"""Measured on two slow cores, beside other work."""


@dataclass(frozen=True)
class Shape:
    """A sweep: so many trials of so many epochs of so many seconds."""

    trials: int
    epochs: int
    seconds: float

    @classmethod
    def read(cls, text: str) -> "Shape":
        """From `945x90x30`."""
        trials, epochs, seconds = text.split("x")
        return cls(int(trials), int(epochs), float(seconds))

    def __str__(self) -> str:
        return f"{self.trials} trials of {self.epochs} x {self.seconds:g} s"


@dataclass(frozen=True)
class Prediction:
    """What a sweep takes.

    Attributes:
        start: seconds without a trial, at the start and at the end.
        trials: seconds from the first trial's beginning to the last one's end.
        limit: what these depend on: `slots`, or the `driver`.
    """

    start: float
    trials: float
    limit: str


def wall_time(shape: Shape, slots: int, costs: Costs, *, starts: float = 1.0) -> Prediction:
    """The wall time of a sweep.

    Args:
        shape: the sweep.
        slots: trials that run at the same time, on all nodes.
        costs: what it takes apart from its epochs.
        starts: process starts that follow one another: 1 on one node; 2 on several, since a process checks each other
            node before the trials' start; more where several start on one core.
    """
    of_slots = math.ceil(shape.trials / slots) * (costs.trial + shape.epochs * (shape.seconds + costs.epoch))
    of_driver = shape.trials * (costs.driver_trial + shape.epochs * costs.driver_epoch)
    start = costs.start + costs.process * starts
    return Prediction(start, max(of_slots, of_driver), "driver" if of_driver > of_slots else "slots")
