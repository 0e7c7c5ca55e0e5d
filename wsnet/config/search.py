"""Which of a sweep's combinations are trained: all, a random sample, or what Optuna suggests from the results."""

from typing import Annotated, Literal

from pydantic import Field

from wsnet.config.base import Config, NonNegativeInt, PositiveInt

__all__ = ["GaussianProcessConfig", "GridConfig", "RandomConfig", "SearchConfig", "SuggestedConfig", "TpeConfig"]


class GridConfig(Config):
    """Every combination is trained."""

    name: Literal["grid"]


class RandomConfig(Config):
    """Random combinations. An axis may then be a range: `{uniform: [low, high]}`, `{log_uniform: [low, high]}`, or
    `{one_minus_log_uniform: [low, high]}`, uniform in the logarithm of 1 - x, for decay factors."""

    name: Literal["random"]
    samples: PositiveInt
    """Settings to draw, from each case."""
    seed: NonNegativeInt = 0
    """Seed of the draw: the same seed draws the same settings."""


class SuggestedConfig(Config):
    """For each cell of the table, settings along the axes of `report.select.over` that Optuna suggests from results.

    The lists of all other axes make the cells, as in a grid. The searched axes may be ranges, as in a random search.
    """

    samples: PositiveInt
    """Settings to train in each cell, with all seeds."""
    startup: PositiveInt = 10
    """How many of them are drawn at random, before the first suggestion."""
    batch: PositiveInt = 4
    """Suggestions made at once. They are trained side by side; the next ones are made from all results so far."""
    seed: NonNegativeInt = 0
    """Seed of the draw and of the suggestions: the same seed and results make the same suggestions."""


class TpeConfig(SuggestedConfig):
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011)."""

    name: Literal["tpe"]


class GaussianProcessConfig(SuggestedConfig):
    """Optuna's Gaussian process with expected improvement: for few settings along few axes."""

    name: Literal["gaussian_process"]


SearchConfig = Annotated[
    GridConfig | RandomConfig | TpeConfig | GaussianProcessConfig,
    Field(discriminator="name"),
]
