"""`train.evaluation_statistics`: the mean and variance that norms with running statistics are evaluated with."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from wsnet.config.base import Config, PositiveInt

__all__ = ["EvaluationStatisticsConfig", "RecomputedConfig", "RunningConfig", "describe_statistics"]


class RunningConfig(Config):
    """Those that training leaves: moving averages over its last steps, as torch has them."""

    name: Literal["running"]


class RecomputedConfig(Config):
    """Those of many training images under the weights that are evaluated ("precise batch norm", Wu & Johnson 2021,
    section 3), before each evaluation: of the first images of the epoch, as augmented."""

    name: Literal["recomputed"]
    images: PositiveInt = 10_000
    """Training images that they are taken over, in whole micro-batches; all, where there are fewer."""
    micro_batch_size: PositiveInt = 128
    """Images that are normalized together meanwhile, whatever the micro-batches of training."""


def describe_statistics(statistics: Iterable[RunningConfig | RecomputedConfig]) -> str | None:
    """What norms are evaluated with, for a caption; None where there are no such norms.

    Args:
        statistics: of each setting whose norm has any.
    """
    return " or ".join(dict.fromkeys(map(_description, statistics))) or None


def _description(statistics: RunningConfig | RecomputedConfig) -> str:
    if isinstance(statistics, RunningConfig):
        return "running statistics"
    images, size = f"{statistics.images:,}", statistics.micro_batch_size
    return f"statistics recomputed over up to {images} training images in micro-batches of {size}"


EvaluationStatisticsConfig = Annotated[RunningConfig | RecomputedConfig, Field(discriminator="name")]
