"""A sweep file: the question, what is fixed, what varies, and how it is run and reported."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from wsnet.config.base import Config, Duration, NonNegative, NonNegativeInt, Positive, PositiveInt, as_tuple, conflict
from wsnet.config.report import ReportConfig
from wsnet.config.schedulers import AshaConfig, FifoConfig, RungConfig, SchedulerConfig
from wsnet.config.search import GridConfig, SearchConfig

__all__ = [
    "ResourcesConfig",
    "StagesConfig",
    "SweepConfig",
]


def _count_or_distinct(seeds: object) -> object:
    listed: list[Any] = list(seeds) if isinstance(seeds, list | tuple) else [seeds]
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in listed)
    count = not isinstance(seeds, list | tuple)
    if not whole or not listed or len(set(listed)) < len(listed) or (count and not 1 <= listed[0] <= 10_000):
        raise ValueError(f"must be a count from 1 to 10000, or a list of distinct seeds >= 0, but got {seeds!r}")
    return seeds


Seeds = Annotated[PositiveInt | Annotated[tuple[NonNegativeInt, ...], as_tuple()], BeforeValidator(_count_or_distinct)]


def _listed(seeds: int | tuple[int, ...], *, first: int = 0) -> tuple[int, ...]:
    """The seeds, one by one; a count begins at `first`."""
    return tuple(range(first, first + seeds)) if isinstance(seeds, int) else seeds


class ResourcesConfig(Config):
    """What each trial gets, and how often it may be retried."""

    workers: PositiveInt = 1
    """Processes of one trial. Above 1 the trial runs through Ray Train's TorchTrainer with DistributedDataParallel."""
    cpus_per_worker: Positive | Literal["auto"] = "auto"
    """CPUs of one worker. `auto` is 1 without a GPU, or more where CPUs would be idle and a step, tried once, is faster
    with them; with a GPU, an equal share of the machine's CPUs."""
    gpus_per_worker: NonNegative | Literal["auto"] = "auto"
    """GPUs of one worker, a fraction to share one. `auto` is 0 without GPUs, 1 for trials on several workers, else what
    the memory of the largest trial, tried once, allows: up to 8 trials on a GPU."""
    max_concurrent: PositiveInt | None = None
    """Trials that run at the same time; by default as many as fit."""
    stack: PositiveInt | Literal["auto"] = 1
    """How many seeds of a setting are trained side by side, as one network with the channels of all of them, in the
    place of one trial: small networks with small batches are then several times as fast. The results are those of
    trials run alone up to rounding. `auto` is all seeds of a setting where a step, tried once, is faster that way."""
    max_failures: NonNegativeInt = 2
    """How often a crashed trial is restarted (from its last checkpoint) before it counts as failed."""
    stall_timeout: Duration | None = None
    """Longest time without a step, such as 10min: a trial that exceeds it is ended and retried like a crashed one. It
    must be longer than an evaluation; the first step may take a minute more (unset: no limit)."""


_FIRST_TUNING_SEED = 1000
"""A count of tuning seeds starts here, so that the same count of seeds for the table shares none with it."""


class TuneConfig(Config):
    """The first stage: every candidate is trained, and one is chosen for each cell, as `report.select` says."""

    seeds: Seeds = 1
    """A count (seeds 1000, 1001, ...) or a list of seeds; none of the sweep's own `seeds`."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Dotted key to value: what differs from `base` while tuning, such as fewer epochs."""

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds, one by one."""
        return _listed(self.seeds, first=_FIRST_TUNING_SEED)


class ConfirmConfig(Config):
    """The second stage: the candidates chosen are trained anew, with the sweep's own `seeds`."""

    set: dict[str, Any] = Field(default_factory=dict)
    """Dotted key to value: what differs from `base`, such as `data.validation: 0` to train on all training images."""


class StagesConfig(Config):
    """Tune, then confirm: candidates are chosen with some seeds, and reported with others."""

    tune: TuneConfig = TuneConfig()
    """The first stage: every candidate is trained, and one is chosen for each cell, as `report.select` says."""
    confirm: ConfirmConfig = ConfirmConfig()
    """The second stage: the candidates chosen are trained anew, with the sweep's own `seeds`."""


class SweepConfig(Config):
    """One question as a file: settings = cases x grid, trials = settings x seeds."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]
    """Name of the sweep: its folder below the storage and its MLflow experiment."""
    question: str = ""
    """The question in words; the report's title."""
    base: dict[str, Any]
    """One trial's configuration: what all trials share."""
    cases: Annotated[tuple[dict[str, Any], ...], as_tuple()] = ()
    """Overrides that belong together, dotted key to value. A case may have its own `grid` and a label, `case`."""
    grid: dict[str, Any] = Field(default_factory=dict)
    """Dotted key to the list of its values."""
    seeds: Seeds = 1
    """A count (seeds 0, 1, ...) or a list of seeds."""
    search: SearchConfig = GridConfig(name="grid")
    """Which combinations are trained."""
    scheduler: SchedulerConfig = FifoConfig(name="fifo")
    """Which trials are trained to the end; with stages, those of the first stage."""
    stages: StagesConfig | None = None
    """Choose each cell's setting with some seeds, then train it anew with others (unset: one stage)."""
    resources: ResourcesConfig = ResourcesConfig()
    """What each trial gets."""
    report: ReportConfig = ReportConfig()
    """The table that answers the question."""

    @model_validator(mode="after")
    def _stack_has_an_effect(self) -> "SweepConfig":
        stack, workers = self.resources.stack, self.resources.workers
        if isinstance(stack, int) and stack > 1 and workers > 1:
            text = (
                f"stacked seeds need one worker, but got stack={stack} with workers={workers}; leave out one of the two"
            )
            raise conflict((text, ("resources.stack", "resources.workers")))
        if isinstance(stack, int) and stack > 1 and not isinstance(self.scheduler, FifoConfig):
            text = (
                f"stacked seeds are trained to their ends, but scheduler {self.scheduler.name!r} stops some trials; "
                "leave out one of the two"
            )
            raise conflict((text, ("resources.stack", "scheduler.name")))
        return self

    @model_validator(mode="after")
    def _mode_has_an_effect(self) -> "SweepConfig":
        scheduler = self.scheduler
        if isinstance(scheduler, AshaConfig) and scheduler.mode == "sync" and not self.compares_settings:
            text = (
                "mode 'sync' needs a comparison of settings, but single trials are compared as they arrive; "
                "set compare: settings"
            )
            raise conflict((text, ("scheduler.mode", "scheduler.compare")))
        return self

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds, one by one."""
        return _listed(self.seeds)

    @property
    def compares_settings(self) -> bool:
        """Whether the scheduler compares settings by the median over their seeds, and never stops a single seed."""
        if isinstance(self.scheduler, AshaConfig) and self.scheduler.compare != "settings":
            return self.scheduler.compare == "auto" and len(self.seed_list) > 1
        return isinstance(self.scheduler, RungConfig)
