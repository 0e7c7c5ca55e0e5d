"""`report` in a sweep file, and what else a report is told of how its settings were chosen."""

from typing import Annotated, Literal

from pydantic import model_validator

from wsnet.config.base import Config, PositiveInt, as_tuple, conflict
from wsnet.config.compare import CompareConfig
from wsnet.config.published import PublishedConfig

__all__ = ["NO_COLUMNS", "ReportConfig", "SelectConfig", "Tuned"]


NO_COLUMNS = "none"
"""Value of `report.columns` for a table without columns."""


class SelectConfig(Config):
    """For each cell of the table, choose among settings on the validation split."""

    over: Annotated[tuple[str, ...], as_tuple()]
    """Axes to choose over, such as optim.lr. Settings that differ only in these are the candidates for one cell."""
    by: Literal[
        "validation/top1_error",
        "validation/top5_error",
        "validation/loss",
        "validation_ema/top1_error",
        "validation_ema/top5_error",
        "validation_ema/loss",
    ] = "validation/top1_error"
    """Last-epoch metric that decides: the candidate with the lowest median over its seeds is shown."""

    @model_validator(mode="after")
    def _names_axes_once(self) -> "SelectConfig":
        if not self.over or len(set(self.over)) < len(self.over):
            text = f"over must name at least one axis, and none twice, but got {list(self.over)}"
            raise conflict((text, ("over",)))
        return self


class ReportConfig(Config):
    """The table that answers the question."""

    rows: Annotated[tuple[str, ...], as_tuple()] | None = None
    """Dotted keys whose values make the rows, or `case`, the cases' labels; by default every axis but the columns'."""
    columns: str | None = None
    """Dotted key whose values make the columns, `case` or `none`; by default the grid's last axis not chosen over."""
    metric: Literal[
        "test/top1_error",
        "test/top1_accuracy",
        "test/top5_error",
        "test/top5_accuracy",
        "test/loss",
        "validation/top1_error",
        "validation/top1_accuracy",
        "validation/top5_error",
        "validation/top5_accuracy",
        "validation/loss",
        "test_ema/top1_error",
        "test_ema/top1_accuracy",
        "test_ema/top5_error",
        "test_ema/top5_accuracy",
        "test_ema/loss",
        "validation_ema/top1_error",
        "validation_ema/top1_accuracy",
        "validation_ema/top5_error",
        "validation_ema/top5_accuracy",
        "validation_ema/loss",
    ] = "test/top1_error"
    """Last-epoch metric in the cells; errors and accuracies in percent. `_ema`: of the averaged weights (train.ema)."""
    statistic: Literal["median", "mean"] = "median"
    """Statistic over its seeds that a cell shows; the mean comes with the standard deviation."""
    published: PublishedConfig | None = None
    """Published numbers shown beside the cells (unset: none)."""
    select: SelectConfig | None = None
    """Choose each cell's setting on the validation split, such as its learning rate (unset: every setting is shown)."""
    compare: CompareConfig | None = None
    """The comparisons that are tested, declared before the run (unset: nothing is tested)."""


class Tuned(Config):
    """How the first of two stages chose the settings of the second; what a report needs to know of it."""

    by: str
    """Metric that decided: the candidate with the lowest median over its seeds was chosen."""
    over: Annotated[tuple[str, ...], as_tuple()]
    """Dotted keys chosen over."""
    candidates: PositiveInt
    """How many candidates a cell had; the largest number if cells differ."""
    seeds: PositiveInt
    """How many seeds each candidate was trained with."""
    sweep: str
    """Name of the first stage."""
    learning_rate: str | None = None
    """How the candidates' learning rates follow the batch size; None if the batch size does not vary."""
