"""`optim.scale_with_batch`: an optimizer's options as they are at a batch size."""

import math
from typing import Any

from wsnet.config.optim import CosineConfig, OptimConfig, PolynomialConfig, SGDConfig
from wsnet.config.trial import TrialConfig

__all__ = ["describe_scaling", "scaled_optim"]


def scaled_optim(optim: OptimConfig, batch_size: int) -> OptimConfig:
    """The optimizer that a batch size gets: without `scale_with_batch` the same, with it one that needs it no more.

    Args:
        optim: as configured.
        batch_size: images per optimizer step.

    Returns:
        One with the effective lr, momentum and final_lr; see `ScaleWithBatchConfig` for the rules.
    """
    if optim.scale_with_batch is None:
        return optim
    ratio, rule = batch_size / optim.scale_with_batch.base, optim.scale_with_batch.rule
    factor = math.sqrt(ratio) if rule == "sqrt" else ratio
    changes: dict[str, Any] = {"scale_with_batch": None}
    if rule == "momentum" and isinstance(optim, SGDConfig):
        changes["momentum"] = optim.momentum**ratio
        # The sum of all steps that one gradient makes, lr / (1 - momentum), then grows with the batch alone.
        factor *= (1 - changes["momentum"]) / (1 - optim.momentum)
    changes["lr"] = optim.lr * factor
    if isinstance(optim.schedule, CosineConfig | PolynomialConfig):
        changes["schedule"] = optim.schedule.model_copy(update={"final_lr": optim.schedule.final_lr * factor})
    return optim.model_copy(update=changes)


def describe_scaling(config: TrialConfig) -> str | None:
    """What `optim.scale_with_batch` makes of a trial's lr and momentum, for a person; None where it is not set."""
    scale = config.optim.scale_with_batch
    if scale is None:
        return None
    optim = scaled_optim(config.optim, config.train.batch_size)
    momentum = f", momentum {optim.momentum:.6g}" if isinstance(optim, SGDConfig) and scale.rule == "momentum" else ""
    return f"lr {optim.lr:.6g}{momentum}"
