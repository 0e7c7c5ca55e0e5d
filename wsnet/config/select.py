"""`report.select`: what is chosen for each cell of a table on the validation split, such as the learning rate."""

from typing import Annotated, Literal

from pydantic import model_validator

from wsnet.config.base import Config, as_tuple, conflict

__all__ = ["SelectConfig"]


class SelectConfig(Config):
    """For each cell of the table, choose among settings on the validation split."""

    over: Annotated[tuple[str, ...], as_tuple()]
    """Axes to choose over, such as optim.lr. Settings that differ in these alone are the candidates of one cell."""
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
